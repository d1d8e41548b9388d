//! Compares the output of `shm_ls` with that of util-linux `ipcs`, byte for byte.
#![forbid(unsafe_code)]

use std::fs;
use std::process::ExitCode;

use assert_cmd::Command;
use shm_testkit::isolation::{mount_over, mount_tmpfs};
use shm_testkit::need::{ANOTHER_USER, IPCS, LIMITS, MOUNTS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as};
use shm_testkit::scratch::make;
use shm_testkit::{Need, Suite, Trial, trials};

const MUCH_MEMORY: Need =
    Need::new("memory for a segment of 10 GiB, never touched", "ipcmk -M 10737418240");

fn output_of(mut command: Command) -> String {
    let assert = command.assert().code(0).stderr("");
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn shm_ls(arguments: &[&str]) -> String {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("shm_ls");
    command.args(arguments);
    output_of(command)
}

fn ipcs(arguments: &[&str]) -> String {
    let mut command = Command::new("ipcs");
    command.args(arguments);
    output_of(command)
}

/// Checks that both listings are equal and have `segments` segments; returns the listing.
fn assert_same_listing(segments: usize) -> String {
    let listing = shm_ls(&[]);
    assert_eq!(listing, ipcs(&["-m"]));
    // An empty line, a title, a heading, the segments, an empty line.
    assert_eq!(listing.lines().count(), 4 + segments, "{listing}");
    listing
}

fn no_segments_are_listed_as_ipcs_lists_them() {
    assert_same_listing(0);
}

fn segments_are_listed_as_ipcs_lists_them() {
    for (key, size, mode) in
        [(20_231_125, 1024, 0o666), (1, 1, 0), (-1, 4096, 0o600), (i32::MIN, 1 << 30, 0o777)]
    {
        let _ = make(key, size, mode);
    }
    let listing = assert_same_listing(4);
    assert!(
        listing.contains(
            "\n0x0134b3d5 0          root       666        1024       0                       \n"
        ),
        "{listing}"
    );
    assert!(listing.contains("\n0x80000000 "), "{listing}");
    assert!(listing.contains(" 1073741824 "), "{listing}");
}

fn attached_locked_and_removed_segments_are_listed_as_ipcs_lists_them() {
    let segments = [1, 2, 3, 4, 5].map(|key| make(key, 4096, 0o600));
    let attachments =
        segments.map(|segment| (segment.attach().unwrap(), segment.attach().unwrap()));
    segments[1].lock().unwrap();
    segments[2].remove().unwrap();
    segments[3].lock().unwrap();
    segments[3].remove().unwrap();
    let listing = assert_same_listing(5);
    for line in [
        "0x00000001 0          root       600        4096       2                       \n",
        "0x00000002 1          root       600        4096       2                 locked\n",
        "0x00000000 2          root       600        4096       2          dest         \n",
        "0x00000000 3          root       600        4096       2          dest   locked\n",
    ] {
        assert!(listing.contains(line), "{line}{listing}");
    }
    drop(attachments);
    assert_same_listing(3);
}

fn a_size_wider_than_its_column_is_listed_as_ipcs_lists_it() {
    let _ = make(1, 10 << 30, 0o600);
    assert!(assert_same_listing(1).contains(" 10737418240 "));
}

fn an_id_with_a_sequence_number_is_listed_as_ipcs_lists_it() {
    let _first = make(1, 1, 0o600);
    // The kernel assigns indexes in a cycle, so a sequence number needs thousands of segments.
    let last = (0..100_000)
        .map(|_| make(2, 1, 0o600))
        .find(|segment| segment.id().0 > 32_768 || segment.remove().is_err())
        .unwrap();
    assert!(last.id().0 > 32_768, "no id has a sequence number: {}", last.id());
    assert_same_listing(2);
}

fn owners_are_named_as_ipcs_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let passwd = folder.path().join("passwd");
    let users = [
        ("root", 0),
        ("second", 0),
        ("exactly10c", 60_001),
        ("elevenchars", 60_002),
        ("a-much-longer-name", 60_003),
    ];
    let lines = users.map(|(name, uid)| format!("{name}:x:{uid}:0::/:/bin/sh\n"));
    fs::write(&passwd, lines.concat()).unwrap();
    mount_over("/etc/passwd", &passwd);
    for uid in ["0", "60001", "60002", "60003", "60004", "4000000000"] {
        let user = format!("--reuid {uid} --regid {uid} --clear-groups");
        run_as(&user, "ipcmk").args(["-M", "100", "-p", "0600"]).assert().success();
    }
    let listing = assert_same_listing(6);
    let owners: Vec<_> =
        listing.lines().skip(3).filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(owners, ["root", "exactly10c", "elevenchar", "a-much-lon", "60004", "4000000000"]);
}

fn without_a_passwd_file_owners_are_user_ids() {
    let _ = make(1, 100, 0o600);
    mount_over("/etc/passwd", "/dev/null");
    assert!(shm_ls(&[]).contains(" 0          600 "));
}

fn unreadable_segments_of_other_users_are_listed() {
    let _ = make(1, 100, 0o600);
    let folder = PublicFolder::new();
    let another = run_as(NOBODY, folder.copy(env!("CARGO_BIN_EXE_shm_ls")));
    assert_eq!(output_of(another), assert_same_listing(1));
}

fn limits_are_printed_as_ipcs_prints_them() {
    let same = || {
        let limits = shm_ls(&["--limits"]);
        assert_eq!(limits, ipcs(&["-m", "-l"]));
        limits
    };
    assert!(same().starts_with("\n------ Shared Memory Limits --------\n"));
    let most = u64::MAX.to_string();
    for (name, value) in [
        ("shmmni", "1"),
        ("shmmni", "32768"),
        ("shmmax", "0"),
        ("shmmax", "1023"),
        ("shmmax", "1024"),
        ("shmmax", &most),
        ("shmall", "0"),
        ("shmall", "1"),
        ("shmall", "4611686018427387903"),
        ("shmall", "4611686018427387904"),
        ("shmall", &most),
    ] {
        fs::write(format!("/proc/sys/kernel/{name}"), value).unwrap();
        same();
    }
}

fn the_listing_is_the_same_without_proc() {
    let segments = [1, 2, 3].map(|key| make(key, 4096, 0o600));
    let _attachment = segments[2].attach().unwrap();
    segments[2].remove().unwrap();
    segments[0].remove().unwrap();
    let listing = assert_same_listing(2);
    mount_tmpfs("/proc", "");
    assert_eq!(shm_ls(&[]), listing);
    let json: serde_json::Value = serde_json::from_str(&shm_ls(&["--json"])).unwrap();
    assert_eq!((&json["ok"], &json["ipc_namespace"]), (&true.into(), &serde_json::Value::Null));
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::isolated, &[IPCS] =>
            no_segments_are_listed_as_ipcs_lists_them,
            segments_are_listed_as_ipcs_lists_them,
            attached_locked_and_removed_segments_are_listed_as_ipcs_lists_them,
            an_id_with_a_sequence_number_is_listed_as_ipcs_lists_it;
        Trial::isolated, &[IPCS, MUCH_MEMORY] =>
            a_size_wider_than_its_column_is_listed_as_ipcs_lists_it;
        Trial::isolated, &[IPCS, ANOTHER_USER, MOUNTS] =>
            owners_are_named_as_ipcs_names_them;
        Trial::isolated, &[IPCS, ANOTHER_USER] =>
            unreadable_segments_of_other_users_are_listed;
        Trial::isolated, &[IPCS, LIMITS] =>
            limits_are_printed_as_ipcs_prints_them;
        Trial::isolated, &[IPCS, MOUNTS] =>
            the_listing_is_the_same_without_proc;
        Trial::isolated, &[MOUNTS] =>
            without_a_passwd_file_owners_are_user_ids;
    ];
    Suite::new(trials).run()
}
