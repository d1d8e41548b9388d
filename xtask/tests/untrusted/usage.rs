//! Text from the command line, and paths.

use assert_cmd::Command;

use crate::{HOSTILE, SHOWN, assert_shown, assert_tame};

fn xtask() -> Command {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.env_remove("CLICOLOR_FORCE");
    xtask
}

fn stderr(command: &mut Command) -> String {
    let assert = command.assert().code(2).stdout("");
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn rejected_values_are_escaped() {
    let key = ["experiment", "--key", HOSTILE];
    assert_shown(&stderr(xtask().args(key)));
    for option in
        ["engine", "format", "base", "runtime", "context", "namespace", "image", "node", "nodes"]
    {
        let args = ["experiment".to_owned(), format!("--{option}"), HOSTILE.to_owned()];
        assert_shown(&stderr(xtask().args(args)));
    }
    for args in [
        &[HOSTILE][..],
        &["experiment", &format!("--{HOSTILE}")],
        &["clean", HOSTILE],
        &["matrix", "--only", HOSTILE],
        &["experiment", "--output", &format!("/nonexistent/{HOSTILE}/a")],
        &["bench", "--output", &format!("/nonexistent/{HOSTILE}/a")],
    ] {
        assert_shown(&stderr(xtask().args(args)));
    }
}

#[test]
fn a_name_that_looks_like_an_option_is_rejected() {
    for option in ["base", "runtime", "context", "namespace", "image", "node", "nodes"] {
        let args = ["experiment".to_owned(), format!("--{option}=--all")];
        let said = stderr(xtask().args(args));
        assert!(said.contains("`--all` is not a valid name of "), "{said}");
    }
}

#[test]
fn an_error_about_the_command_line_contains_only_its_own_colours() {
    let args = ["experiment", "--context", HOSTILE];
    let said = stderr(xtask().args(args).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR"));
    assert!(said.contains("\x1b[1m") && said.contains(SHOWN), "{said:?}");
    assert!(!said.contains("\x1b[38;5;99m"), "{said:?}");
    let own = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    assert_tame(&own.replace_all(&said, ""));
}
