//! `shm_rd`: reads a text from shared memory.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::process::ExitCode;

use shm_cli::start::{prepare_for_fault, start};
use shm_core::Descriptor;
use shm_rd::{args::Args, run};

shm_core::run_before_main!();

fn main() -> ExitCode {
    let args: Args = start(run::FAILED);
    prepare_for_fault(&args.address, args.json, run::failure_line(&args), run::FAILED);
    let stdout = io::stdout();
    run::run(&args, stdout.is_terminal(), Descriptor(stdout.as_fd()), io::stderr()).into()
}
