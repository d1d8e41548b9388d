//! `shm_rd`: reads a text from shared memory.
#![forbid(unsafe_code)]
#![no_main]

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::Parser;
use shm_rd::{args::Args, read};

shm_core::entry_point!(run);

fn run(args: Vec<OsString>) -> u8 {
    let args = Args::parse_from(args);
    let terminal = io::stdout().is_terminal();
    read::run(&args, terminal, io::stdout().lock(), io::stderr().lock())
}
