//! `shm_ls`: lists the shared memory of an IPC namespace.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter};
use std::os::fd::AsFd;
use std::process::ExitCode;

use shm_cli::start::start;
use shm_core::Descriptor;
use shm_ls::{args::Args, list, watch};

shm_core::run_before_main!();

/// The exit status if the listing could not be read or printed.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let args: Args = start(FAILED);
    let stdout = io::stdout();
    // The standard library's writer reports success if the descriptor is closed.
    let mut output = BufWriter::new(Descriptor(stdout.as_fd()));
    let done =
        if args.watch { watch::run(&args, &mut output) } else { list::run(&args, &mut output) };
    let Err(error) = done else { return ExitCode::SUCCESS };
    error.report(args.json, None, &mut output, &mut io::stderr());
    FAILED.into()
}
