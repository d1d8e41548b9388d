use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};

use crate::shm_rd;

#[test]
fn help_has_every_option_and_the_exit_statuses() {
    let mut help = shm_rd().arg("--help").assert().code(0).stderr("");
    for option in [
        "--key <KEY>",
        "--id <SHMID>",
        "--posix <NAME>",
        "--file <PATH>",
        "--framed",
        "--raw",
        "--wait[=<SECONDS>]",
        "--json",
        "Exit status: 0 read; 255 not read",
    ] {
        help = help.stdout(contains(option));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("shm_rd {}\n", env!("CARGO_PKG_VERSION"));
    shm_rd().arg("--version").assert().code(0).stdout(version);
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_mistake() {
    for (arguments, named) in [
        (&["--key", "0"][..], "IPC_PRIVATE"),
        (&["--key", "0x"], "expected a decimal number"),
        (&["--wait=soon"], "expected a number of seconds such as 2.5"),
        (&["--wait=-1"], "expected a number of seconds"),
        (&["--wait=nan"], "expected a number of seconds"),
        (&["--wait="], "--wait"),
        (&["--raw", "--json"], "cannot be used with"),
        (&["--posix", "a", "--file", "b"], "cannot be used with"),
        (&["--posix", ".."], "--posix"),
        (&["--id", "1", "--key", "1"], "cannot be used with"),
        (&["--id", "1", "--file", "x"], "cannot be used with"),
        (&["--id", "1", "--posix", "x"], "cannot be used with"),
        (&["--id", "1", "--framed"], "cannot be used with"),
        (&["--id", "0x1"], "expected a shmid as shm_ls prints it"),
        (&["text"], "text"),
        (&["--size", "1"], "--size"),
    ] {
        let refused = shm_rd().args(arguments).assert();
        let message = starts_with("error: ").and(contains(named)).and(contains("--help"));
        refused.code(2).stdout(is_empty()).stderr(message);
    }
}
