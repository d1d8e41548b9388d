//! The reports, whole, of a run on the model: the same on every machine.
#![forbid(unsafe_code)]

use assert_cmd::Command;

fn report(format: &str) -> String {
    let args = ["experiment", "--engine", "model", "--format", format];
    let assert = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).assert().success();
    let report = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    // The model takes no time; a slow machine may still see a millisecond pass over all steps.
    let text = regex::Regex::new(r"in \d+ ms:").unwrap().replace(&report, "in 0 ms:");
    let json = regex::Regex::new(r#"(?m)^  "duration_ms": \d+"#).unwrap();
    json.replace(&text, r#"  "duration_ms": 0"#).into_owned()
}

#[test]
fn the_report_for_people_reads_like_this() {
    insta::assert_snapshot!(report("text"));
}

#[test]
fn the_report_for_programs_has_this_shape() {
    insta::assert_snapshot!(report("json"));
}
