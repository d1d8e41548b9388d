//! `shm_wr` as a program, with scratch keys and names.
#![forbid(unsafe_code)]

mod arguments;
mod files;
mod fitting;
mod framed;
mod ids;
mod ipc_objects;
mod json;
mod long;
mod objects;
mod segments;
mod streams;

use std::io::Read;

use assert_cmd::Command;
use shm_core::Address;
use shm_testkit::programs;

fn shm_wr() -> Command {
    assert_cmd::cargo::cargo_bin_cmd!("shm_wr")
}

/// Reads the text at an address without `shm_rd`.
fn text_at(address: impl Into<Address>) -> Vec<u8> {
    let mut text = Vec::new();
    address.into().open().unwrap().text().read_to_end(&mut text).unwrap();
    text
}

/// A shell that runs `script`, with the tool as `$0` and `arguments` as `$@`.
fn shell(script: &str, arguments: &[&str]) -> Command {
    programs::shell(script, env!("CARGO_BIN_EXE_shm_wr"), arguments)
}
