use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};
use shm_testkit::scratch::ScratchKey;

use crate::{shm_wr, text_at};

#[test]
fn without_an_argument_it_prints_the_message_of_the_original() {
    shm_wr().assert().code(255).stdout("").stderr("place input str, example: ./shm_wr abcd\n");
}

#[test]
fn help_has_every_option_and_the_exit_statuses() {
    let mut help = shm_wr().arg("--help").assert().code(0).stderr("");
    for option in [
        "[TEXT]",
        "--key <KEY>",
        "--id <SHMID>",
        "--posix <NAME>",
        "--file <PATH>",
        "--size <BYTES>",
        "--mode <MODE>",
        "--create-new",
        "--truncate",
        "--stdin",
        "--framed",
        "--remove",
        "--checksum",
        "--json",
        "Exit status: 0 done; 255 failed",
    ] {
        help = help.stdout(contains(option));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("shm_wr {}\n", env!("CARGO_PKG_VERSION"));
    shm_wr().arg("--version").assert().code(0).stdout(version);
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_mistake() {
    for (arguments, named) in [
        (&["--key", "0", "x"][..], "IPC_PRIVATE"),
        (&["--key", "0x123456789", "x"], "0x123456789"),
        (&["--key", "one", "x"], "expected a decimal number"),
        (&["--key", "", "x"], "--key"),
        (&["--size", "-1", "x"], "-1"),
        (&["--size", "many", "x"], "expected a number of bytes such as 1024, 64K or 1G"),
        (&["--size", "99999999T", "x"], "--size"),
        (&["--mode", "888", "x"], "expected octal permission bits"),
        (&["--mode", "1777", "x"], "expected octal permission bits"),
        (&["--posix", "a/b", "x"], "a/b"),
        (&["--posix", "", "x"], "--posix"),
        (&["--posix", "a", "--file", "b", "x"], "cannot be used with"),
        (&["--key", "1", "--posix", "a", "x"], "cannot be used with"),
        (&["--stdin", "x"], "cannot be used with"),
        (&["--remove", "x"], "cannot be used with"),
        (&["--remove", "--truncate"], "cannot be used with"),
        (&["--id", "1", "--size", "1", "x"], "cannot be used with"),
        (&["--id", "1", "--mode", "600", "x"], "cannot be used with"),
        (&["--id", "1", "--create-new", "x"], "cannot be used with"),
        (&["--id", "1", "--key", "1", "x"], "cannot be used with"),
        (&["--id", "1", "--object", "sem", "x"], "cannot be used with"),
        (&["--id", "1", "--framed", "x"], "cannot be used with"),
        (&["--id=-1", "x"], "expected a shmid as shm_ls prints it"),
        (&["one", "two"], "two"),
        (&["--colour", "x"], "--colour"),
        (&["-x"], "-x"),
    ] {
        let refused = shm_wr().args(arguments).assert();
        let message = starts_with("error: ").and(contains(named)).and(contains("--help"));
        refused.code(2).stdout(is_empty()).stderr(message);
    }
}

#[test]
fn a_key_is_the_same_in_decimal_and_in_hexadecimal() {
    let key = ScratchKey::new();
    shm_wr().args(["--key", &key.to_string(), "hexadecimal"]).assert().code(0);
    assert_eq!(text_at(*key), b"hexadecimal");
    shm_wr().args(["--key", &key.raw().to_string(), "decimal"]).assert().code(0);
    assert_eq!(text_at(*key), b"decimal");
}

#[test]
fn a_text_with_a_leading_dash_follows_two_dashes() {
    let key = ScratchKey::new();
    shm_wr().args(["--key", &key.to_string(), "--", "--json"]).assert().code(0);
    assert_eq!(text_at(*key), b"--json");
}
