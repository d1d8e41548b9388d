//! `shm_wr`: writes a text into shared memory.
#![forbid(unsafe_code)]
#![no_main]

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use clap::Parser;
use shm_core::Descriptor;
use shm_wr::{args::Args, write};

shm_core::entry_point!(run);

// Standard error stays unlocked: progress is shown on it by whichever thread moves the data.
fn run(args: Vec<OsString>) -> u8 {
    let args = Args::parse_from(args);
    let stdin = io::stdin();
    write::run(&args, Descriptor(stdin.as_fd()), io::stdout().lock(), io::stderr())
}
