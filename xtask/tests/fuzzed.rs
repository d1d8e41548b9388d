//! The fuzz targets of `fuzz/` with a bounded number of inputs: random bytes and mutated seeds.
//! `cargo +nightly fuzz run TARGET` runs them under libFuzzer, which searches for new code paths.
#![forbid(unsafe_code)]

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use shm_testkit::count;

/// A mutation at one position of the input.
#[derive(Clone, Debug)]
enum Change {
    Replace(u8),
    Insert(Vec<u8>),
    Remove(usize),
    /// Repeats the bytes there, so that numbers and names grow.
    Repeat(usize),
    Cut,
}

fn change() -> impl Strategy<Value = Change> {
    // Text with a meaning for a parser.
    let words =
        ["0", "-", "+", "0x", "/", ".", " ", "\n", "\t", "\0", "\u{1b}", "=", "--", "e9", "inf"];
    let words = words.map(|word| word.as_bytes().to_vec()).to_vec();
    prop_oneof![
        any::<u8>().prop_map(Change::Replace),
        select(words).prop_map(Change::Insert),
        prop::collection::vec(any::<u8>(), 1..4).prop_map(Change::Insert),
        (1_usize..20).prop_map(Change::Remove),
        (1_usize..20).prop_map(Change::Repeat),
        Just(Change::Cut),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: Vec<(Index, Change)>) -> Vec<u8> {
    for (index, change) in changes {
        let at = index.index(bytes.len() + 1);
        let until = |length: usize| bytes.len().min(at + length);
        match change {
            Change::Replace(byte) => bytes.splice(at..until(1), [byte]).for_each(drop),
            Change::Insert(word) => bytes.splice(at..at, word).for_each(drop),
            Change::Remove(length) => bytes.drain(at..until(length)).for_each(drop),
            Change::Repeat(length) => {
                let again = bytes[at..until(length)].to_vec();
                bytes.splice(at..at, again).for_each(drop);
            }
            Change::Cut => bytes.truncate(at),
        }
    }
    bytes
}

/// Runs a target on its unchanged seeds and on `inputs` generated inputs.
fn fuzz(name: &str, inputs: u32, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let seeds: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    for seed in &seeds {
        target(seed);
    }
    let changes = prop::collection::vec((any::<Index>(), change()), 1..8);
    let input = prop_oneof![
        4 => (select(seeds), changes).prop_map(|(seed, changes)| changed(seed, changes)),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    let config = Config { cases: inputs, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&input, |input| {
        target(&input);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    count("random input of the parsers", &[(usize::try_from(inputs).unwrap(), "cases")]);
}

#[test]
fn a_printed_listing_is_parsed_back() {
    fuzz("table", 4_000, targets::table);
}

#[test]
fn a_printed_key_is_parsed_back() {
    fuzz("key", 4_000, targets::key);
}

#[test]
fn no_name_escapes_its_folder() {
    fuzz("name", 4_000, targets::name);
}

#[test]
fn every_command_line_is_parsed_or_rejected() {
    fuzz("arguments", 1_000, targets::arguments);
}

#[test]
fn every_mount_is_found_at_its_mount_point() {
    fuzz("mounts", 4_000, targets::mounts);
}

#[test]
fn escaped_text_has_no_control_characters() {
    fuzz("text", 4_000, targets::text);
}

#[test]
fn a_written_ledger_is_read_back() {
    fuzz("ledger", 4_000, targets::ledger);
}
