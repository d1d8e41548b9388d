//! `shm_rd` as its users run it, on keys and names of the test's own.
#![forbid(unsafe_code)]

mod arguments;
mod carriers;
mod framed;
mod json;
mod long;
mod places;
#[path = "../../../shm_core/tests/scratch/mod.rs"]
mod scratch;
mod streams;
mod waiting;

use std::time::Duration;

use assert_cmd::Command;
use shm_core::Address;

fn shm_rd() -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("shm_rd");
    command.timeout(Duration::from_secs(20));
    command
}

/// Puts a text at an address, without the writing tool.
fn put(address: impl Into<Address>, text: &[u8]) {
    let (memory, _) = address.into().open_or_create(1024, 0o600).unwrap();
    memory.write_text(text).unwrap();
}
