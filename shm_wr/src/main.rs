//! `shm_wr`: writes a text into shared memory.
#![forbid(unsafe_code)]
#![no_main]

use std::ffi::OsString;
use std::io::{self, BufWriter};
use std::os::fd::AsFd;

use clap::Parser;
use shm_core::Descriptor;
use shm_core::entry::print_parser_message;
use shm_wr::{args::Args, write};

shm_core::entry_point!(run);

// Standard error stays unlocked: progress is shown on it by whichever thread moves the data.
fn run(args: Vec<OsString>) -> u8 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let (message, asked_for) = (error.render().to_string(), !error.use_stderr());
            return print_parser_message(&message, asked_for, write::FAILED);
        }
    };
    write::prepare_for_fault(&args);
    let (stdin, stdout) = (io::stdin(), io::stdout());
    // Not the standard library's, which reports success where the descriptor is closed.
    let output = BufWriter::with_capacity(1024, Descriptor(stdout.as_fd()));
    write::run(&args, Descriptor(stdin.as_fd()), output, io::stderr())
}
