//! `shm_wr`: writes a text into shared memory.
#![forbid(unsafe_code)]
#![no_main]

use std::ffi::OsString;
use std::io;

use clap::Parser;
use shm_wr::{args::Args, write};

shm_core::entry_point!(run);

fn run(args: Vec<OsString>) -> u8 {
    let args = Args::parse_from(args);
    write::run(&args, io::stdin().lock(), io::stdout().lock(), io::stderr().lock())
}
