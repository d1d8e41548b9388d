//! `shm_wr`: writes a text into shared memory.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use shm_core::{Descriptor, program};
use shm_wr::{args::Args, run};

shm_core::run_before_main!();

// Standard error stays unlocked: progress is shown on it by whichever thread moves the data.
fn main() -> ExitCode {
    program::set_signals();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let (message, asked_for) = (error.render().to_string(), !error.use_stderr());
            return program::print_parser_message(&message, asked_for, run::FAILED).into();
        }
    };
    run::prepare_for_fault(&args);
    let (stdin, stdout) = (io::stdin(), io::stdout());
    // Not the standard library's, which reports success where the descriptor is closed.
    let output = BufWriter::with_capacity(1024, Descriptor(stdout.as_fd()));
    run::run(&args, Descriptor(stdin.as_fd()), output, io::stderr()).into()
}
