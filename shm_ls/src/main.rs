//! `shm_ls`: lists the shared memory of an IPC namespace.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter};
use std::os::fd::AsFd;
use std::process::ExitCode;

use shm_cli::start::start;
use shm_core::Descriptor;
use shm_ls::{args::Args, list, watch};

shm_core::run_before_main!();

fn main() -> ExitCode {
    let args: Args = match start(list::FAILED) {
        Ok(args) => args,
        Err(status) => return status,
    };
    let stdout = io::stdout();
    // The standard library's writer reports success if the descriptor is closed.
    let mut output = BufWriter::new(Descriptor(stdout.as_fd()));
    let done =
        if args.watch { watch::run(args.json, &mut output) } else { list::run(&args, &mut output) };
    list::exit_status(done, args.json, output, io::stderr()).into()
}
