//! `shm_ls`: lists the shared memory of an IPC namespace.
#![forbid(unsafe_code)]
#![no_main]

use std::ffi::OsString;
use std::io;

use clap::Parser;
use shm_ls::{args::Args, list, watch};

shm_core::entry_point!(run);

fn run(args: Vec<OsString>) -> u8 {
    let args = Args::parse_from(args);
    let (mut stdout, stderr) = (io::stdout().lock(), io::stderr().lock());
    let done =
        if args.watch { watch::run(args.json, &mut stdout) } else { list::run(&args, &mut stdout) };
    list::exit_status(done, args.json, stdout, stderr)
}
