//! `shm_rd`: reads a text from shared memory.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use shm_core::{Descriptor, program};
use shm_rd::{args::Args, run};

shm_core::run_before_main!();

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
    let stdout = io::stdout();
    run::run(&args, stdout.is_terminal(), Descriptor(stdout.as_fd()), io::stderr()).into()
}
