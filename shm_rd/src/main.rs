//! `shm_rd`: reads a text from shared memory.
#![forbid(unsafe_code)]
#![no_main]

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use clap::Parser;
use shm_core::Descriptor;
use shm_core::entry::print_parser_message;
use shm_rd::{args::Args, read};

shm_core::entry_point!(run);

// Standard error stays unlocked: progress is shown on it by whichever thread moves the data.
fn run(args: Vec<OsString>) -> u8 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let (message, asked_for) = (error.render().to_string(), !error.use_stderr());
            return print_parser_message(&message, asked_for, read::FAILED);
        }
    };
    read::prepare_for_fault(&args);
    let stdout = io::stdout();
    read::run(&args, stdout.is_terminal(), Descriptor(stdout.as_fd()), io::stderr())
}
