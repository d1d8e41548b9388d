//! `shm_wr`: writes a text into shared memory.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter};
use std::os::fd::AsFd;
use std::process::ExitCode;

use shm_cli::start::{prepare_for_fault, start};
use shm_core::Descriptor;
use shm_wr::{args::Args, run};

shm_core::run_before_main!();

// Standard error is not locked, because any thread that copies data shows progress on it.
fn main() -> ExitCode {
    let args: Args = start(run::FAILED);
    prepare_for_fault(&args.address, args.json, Some("shm write failed"), run::FAILED);
    let (stdin, stdout) = (io::stdin(), io::stdout());
    // The standard library's writer reports success if the descriptor is closed.
    let output = BufWriter::with_capacity(1024, Descriptor(stdout.as_fd()));
    run::run(&args, Descriptor(stdin.as_fd()), output, io::stderr()).into()
}
