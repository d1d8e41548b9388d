//! The examples run and print what they say.
#![forbid(unsafe_code)]

use assert_cmd::Command;
use escargot::CargoBuild;
use predicates::str::starts_with;

fn example(name: &str) -> Command {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let build = CargoBuild::new().manifest_path(manifest).example(name);
    Command::from_std(build.run().expect("the example builds").command())
}

#[test]
fn the_segment_example_shares_a_counter() {
    let printed = "counter 42\n8 bytes, mode 0600, 2 attachments\nin ipc:[";
    example("segment").assert().success().stdout(starts_with(printed));
}

#[test]
fn the_object_example_reads_through_the_other_mapping() {
    example("object").assert().success().stdout(starts_with("hello\n"));
}
