//! `shm_ls`: lists the shared memory of an IPC namespace.
#![forbid(unsafe_code)]
#![no_main]

use std::ffi::OsString;
use std::io::{self, BufWriter};
use std::os::fd::AsFd;

use clap::Parser;
use shm_core::Descriptor;
use shm_core::entry::print_parser_message;
use shm_ls::{args::Args, list, watch};

shm_core::entry_point!(run);

fn run(args: Vec<OsString>) -> u8 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let (message, asked_for) = (error.render().to_string(), !error.use_stderr());
            return print_parser_message(&message, asked_for, list::FAILED);
        }
    };
    let stdout = io::stdout();
    // Not the standard library's, which reports success where the descriptor is closed.
    let mut output = BufWriter::new(Descriptor(stdout.as_fd()));
    let done =
        if args.watch { watch::run(args.json, &mut output) } else { list::run(&args, &mut output) };
    list::exit_status(done, args.json, output, io::stderr())
}
