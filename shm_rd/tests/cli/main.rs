//! `shm_rd` as a program, with scratch keys and names.
#![forbid(unsafe_code)]

mod arguments;
mod framed;
mod ids;
mod ipc_objects;
mod json;
mod long;
mod places;
mod streams;
mod waiting;

use std::time::Duration;

use assert_cmd::Command;
use shm_core::Address;
use shm_testkit::programs;

fn shm_rd() -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("shm_rd");
    command.timeout(Duration::from_secs(20));
    command
}

/// Writes a text to an address without `shm_wr`.
fn put(address: impl Into<Address>, text: &[u8]) {
    let (memory, _) = address.into().open_or_create(1024, 0o600).unwrap();
    memory.write_text(text).unwrap();
}

/// A shell that runs `script`, with the tool as `$0` and `arguments` as `$@`.
fn shell(script: &str, arguments: &[&str]) -> Command {
    programs::shell(script, env!("CARGO_BIN_EXE_shm_rd"), arguments)
}
