//! The limits of semaphores and message queues: EINVAL, ENOSPC, EAGAIN, EMFILE.

use std::fs;

use assert_cmd::Command;
use shm_cli::change::Change;
use shm_testkit::need::{ANOTHER_USER, LIMITS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as};
use shm_testkit::{Trial, tools, trials};

use crate::{change, shm_rd, shm_wr, tells};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[LIMITS] =>
            einval_of_semget_names_semmsl_and_a_size_that_works,
            enospc_of_semget_names_semmns_with_its_use,
            enospc_of_semget_names_semmni_with_its_use,
            enospc_of_msgget_names_msgmni_with_its_use,
            einval_of_msgsnd_names_msgmax,
            eagain_of_msgsnd_names_msgmnb;
        Trial::isolated, &[] =>
            a_text_that_no_queue_of_the_tools_can_hold_is_refused,
            emfile_of_mq_open_names_the_limit_of_the_user;
        Trial::isolated, &[ANOTHER_USER, LIMITS] =>
            einval_of_mq_open_names_msgsize_max,
            enospc_of_mq_open_names_queues_max;
    ]
}

const EINVAL: &str = "22 msg: Invalid argument";
const ENOSPC: &str = "28 msg: No space left on device";
fn set(parameter: &str, value: &str) {
    fs::write(format!("/proc/sys/{parameter}"), value).unwrap();
}

fn raise(name: &str, value: &str) -> String {
    format!("raise it; {}", change(Change::Sysctl { name, value }))
}

fn remove_or_raise(commands: &str, name: &str, value: &str) -> String {
    format!("remove some (shm_wr --remove --object {commands}), or {}", raise(name, value))
}

const SETS: &str = "sem --key KEY, or ipcrm -s ID";
const QUEUES: &str = "msg --key KEY, or ipcrm -q ID";
const POSIX_QUEUES: &str = "mqueue --key KEY, or rm /dev/mqueue/NAME";

/// The value that Oracle asks for.
fn einval_of_semget_names_semmsl_and_a_size_that_works() {
    set("kernel/sem", "250 32000 100 128");
    let value = "\"1024 32000 100 128\"";
    tells(
        &mut shm_wr(&["--object", "sem", "x"]),
        &format!("semget failed, errno: {EINVAL}"),
        "1024 semaphores, one for each byte of --size, exceed SEMMSL, the first number of \
         kernel.sem: 250 in a set",
        &format!("give --size 250, or {}", raise("kernel.sem", value)),
    );
    shm_wr(&["--object", "sem", "--size", "250", "x"]).assert().code(0);
    shm_rd(&["--object", "sem", "--raw"]).assert().code(0).stdout("x");
}

fn enospc_of_semget_names_semmns_with_its_use() {
    set("kernel/sem", "32000 1500 100 128");
    shm_wr(&["--object", "sem", "--key", "1", "x"]).assert().code(0);
    let value = "\"32000 2048 100 128\"";
    tells(
        &mut shm_wr(&["--object", "sem", "x"]),
        &format!("semget failed, errno: {ENOSPC}"),
        "1024 new semaphores and 1024 existing ones exceed SEMMNS, the second number of \
         kernel.sem: 1500",
        &remove_or_raise(SETS, "kernel.sem", value),
    );
}

fn enospc_of_semget_names_semmni_with_its_use() {
    set("kernel/sem", "32000 32000 100 2");
    for key in ["1", "2"] {
        shm_wr(&["--object", "sem", "--key", key, "x"]).assert().code(0);
    }
    let value = "\"32000 32000 100 3\"";
    tells(
        &mut shm_wr(&["--object", "sem", "x"]),
        &format!("semget failed, errno: {ENOSPC}"),
        "all 2 sets that SEMMNI, the fourth number of kernel.sem, allows are in use",
        &remove_or_raise(SETS, "kernel.sem", value),
    );
    shm_wr(&["--object", "sem", "--key", "1", "--remove"]).assert().code(0);
    shm_wr(&["--object", "sem", "x"]).assert().code(0);
}

fn enospc_of_msgget_names_msgmni_with_its_use() {
    set("kernel/msgmni", "1");
    shm_wr(&["--object", "msg", "--key", "1", "x"]).assert().code(0);
    tells(
        &mut shm_wr(&["--object", "msg", "x"]),
        &format!("msgget failed, errno: {ENOSPC}"),
        "kernel.msgmni of this namespace is reached: 1 of 1 queues are in use",
        &remove_or_raise(QUEUES, "kernel.msgmni", "NUMBER"),
    );
}

fn einval_of_msgsnd_names_msgmax() {
    set("kernel/msgmax", "10");
    tells(
        &mut shm_wr(&["--object", "msg", "12345678901"]),
        &format!("msgsnd failed, errno: {EINVAL}"),
        "a message of 11 bytes exceeds kernel.msgmax of this namespace, 10 bytes",
        &format!("give a shorter text, or {}", raise("kernel.msgmax", "BYTES")),
    );
}

fn eagain_of_msgsnd_names_msgmnb() {
    set("kernel/msgmnb", "10");
    let raise = change(Change::Sysctl { name: "kernel.msgmnb", value: "BYTES" });
    tells(
        &mut shm_wr(&["--object", "msg", "12345678901"]),
        "msgsnd failed, errno: 11 msg: Resource temporarily unavailable",
        "a message of 11 bytes exceeds what a new queue can hold: kernel.msgmnb of this namespace \
         is 10 bytes",
        &format!(
            "give a shorter text, or raise it, remove the queue (--remove) and write again; {raise}"
        ),
    );
}

fn a_text_that_no_queue_of_the_tools_can_hold_is_refused() {
    tells(
        shm_wr(&["--object", "msg", "--size", "1M", "--stdin"]).write_stdin("x".repeat(8193)),
        &format!("msgsnd failed, errno: {EINVAL}"),
        "8193 bytes exceed the longest message of these tools, 8192 bytes",
        "give a shorter text, or use shared memory: without --object",
    );
    tells(
        &mut shm_wr(&["--object", "mqueue", "--size", "17M", "x"]),
        &format!("mq_open failed, errno: {EINVAL}"),
        "17825792 bytes exceed the largest message of a POSIX queue, 16777216 bytes",
        "give a smaller --size, or use shared memory: --posix NAME",
    );
}

fn emfile_of_mq_open_names_the_limit_of_the_user() {
    let mut limited = Command::new("prlimit");
    limited.arg("--msgqueue=500").arg(tools::path("shm_wr")).args(["--object", "mqueue", "x"]);
    tells(
        &mut limited,
        "mq_open failed, errno: 24 msg: Too many open files",
        "a queue for 1024 bytes, with the other queues of user 0 in all IPC namespaces, exceeds \
         RLIMIT_MSGQUEUE, 500 bytes",
        &format!(
            "remove queues of this user, give a smaller --size, or raise it; ulimit -q; {}",
            change(Change::QueueBytes)
        ),
    );
}

/// Runs `shm_wr --object mqueue` as a user whom the limits of POSIX queues bind; root may exceed them.
fn bound(folder: &PublicFolder, arguments: &[&str]) -> Command {
    let mut command = run_as(NOBODY, folder.copy(tools::path("shm_wr")));
    command.args(["--object", "mqueue"]).args(arguments);
    command
}

fn einval_of_mq_open_names_msgsize_max() {
    let folder = PublicFolder::new();
    set("fs/mqueue/msgsize_max", "1000");
    tells(
        &mut bound(&folder, &["x"]),
        &format!("mq_open failed, errno: {EINVAL}"),
        "1024 bytes exceed fs.mqueue.msgsize_max of this namespace, 1000 bytes",
        &format!("give --size 1000, or {}", raise("fs.mqueue.msgsize_max", "BYTES")),
    );
    bound(&folder, &["--size", "1000", "x"]).assert().code(0);
}

fn enospc_of_mq_open_names_queues_max() {
    let folder = PublicFolder::new();
    set("fs/mqueue/queues_max", "1");
    bound(&folder, &["--key", "1", "x"]).assert().code(0);
    tells(
        &mut bound(&folder, &["x"]),
        &format!("mq_open failed, errno: {ENOSPC}"),
        "all 1 queues that fs.mqueue.queues_max allows are in use",
        &remove_or_raise(POSIX_QUEUES, "fs.mqueue.queues_max", "NUMBER"),
    );
}
