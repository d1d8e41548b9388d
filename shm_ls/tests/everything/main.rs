//! `shm_ls --all-objects`, beside `ipcs`, `ls` and `df`, in places that are full, small or missing.
#![forbid(unsafe_code)]

use std::fs;
use std::process::ExitCode;

use assert_cmd::Command;
use serde_json::{Value, json};
use shm_core::{IpcObject, Key};
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::{ANOTHER_USER, IPCS, LIMITS, MOUNTS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as, shell};
use shm_testkit::scratch::make;
use shm_testkit::{Need, Suite, Trial, trials};

const MQUEUES: Need =
    Need::new("a mount of the message queues in a private mount namespace", MOUNT_MQUEUES);

/// Hosts need not have the folder `/dev/mqueue`, so `/dev` becomes a copy that has it.
const MOUNT_MQUEUES: &str = "
    copy=$(mktemp -d) && mount -t tmpfs none $copy && mkdir $copy/shm $copy/mqueue &&
    for device in null zero full random urandom tty; do
        : >$copy/$device && mount --bind /dev/$device $copy/$device || exit
    done &&
    mount --bind /dev/shm $copy/shm && mount -t mqueue none $copy/mqueue &&
    mount --move $copy /dev && rmdir $copy";

fn stdout(command: &mut Command) -> String {
    let assert = command.assert().code(0).stderr("");
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn page() -> String {
    stdout(assert_cmd::cargo::cargo_bin_cmd!("shm_ls").arg("--all-objects"))
}

fn json() -> Value {
    let printed = stdout(assert_cmd::cargo::cargo_bin_cmd!("shm_ls").arg("--json"));
    serde_json::from_str(&printed).unwrap()
}

/// Returns the line of a resource, with one space between its words.
fn resource(page: &str, name: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = page.lines().map(words);
    lines.find(|line| line.trim_start_matches("! ").starts_with(name)).unwrap()
}

fn run(script: &str) -> String {
    stdout(&mut shell(script, "sh", &[]))
}

fn mount_mqueue() {
    run(MOUNT_MQUEUES);
}

fn write(ipc_object: IpcObject, text: &[u8], mode: u32) {
    ipc_object.write_text(text, 64, mode, true).unwrap();
}

fn objects_are_listed_as_ipcs_and_ls_list_them() {
    mount_mqueue();
    mount_tmpfs("/dev/shm", "");
    let key = Key::new(7).unwrap();
    for tables in 0..2 {
        let page = page();
        for option in ["-m", "-s", "-q"] {
            assert!(page.contains(&run(&format!("ipcs {option}"))), "{option}: {page}");
        }
        if tables == 1 {
            break;
        }
        let _ = make(7, 100, 0o640);
        write(IpcObject::Semaphores(key), b"text", 0o600);
        write(IpcObject::Semaphores(Key::new(-1).unwrap()), b"text", 0o666);
        write(IpcObject::Queue(key), b"text", 0o644);
    }
    write(IpcObject::Mqueue(key), b"text", 0o620);
    fs::write("/dev/shm/one", "12345").unwrap();
    fs::write("/dev/shm/sem.two", "").unwrap();
    fs::create_dir("/dev/shm/three").unwrap();
    let answer = json();
    let names = |field: &str| {
        let list = answer[field].as_array().unwrap().iter();
        list.map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ls = |folder: &str| -> Vec<_> {
        run(&format!("LC_ALL=C ls {folder}")).lines().map(str::to_owned).collect()
    };
    assert_eq!(names("mqueues"), ls("/dev/mqueue"));
    assert_eq!(names("posix_objects"), ls("/dev/shm"));
    let size = answer["mqueues"][0]["used_bytes"].as_u64().unwrap();
    assert_eq!(size, 4);
    let stat = |file: &str| run(&format!("stat -c '%u %g %04a %s %b' {file}"));
    for object in answer["posix_objects"].as_array().unwrap() {
        let [uid, gid] = ["uid", "gid"].map(|it| object[it].as_u64().unwrap());
        let (mode, size) = (object["mode"].as_str().unwrap(), object["size"].as_u64().unwrap());
        let blocks = object["allocated"].as_u64().unwrap() / 512;
        let name = object["name"].as_str().unwrap();
        assert_eq!(
            format!("{uid} {gid} {mode} {size} {blocks}\n"),
            stat(&format!("/dev/shm/{name}"))
        );
    }
    let page = page();
    for line in [
        "root       0620       4            shm_0x00000007\n",
        "root       0644       5            4096         object     one\n",
        "root       0644       0            0            semaphore  sem.two\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
}

fn a_full_dev_shm_is_marked() {
    mount_tmpfs("/dev/shm", "size=64k,nr_inodes=10,noexec,mode=0755");
    fs::write("/dev/shm/fill", vec![1; 64 << 10]).unwrap();
    let page = page();
    let bytes = page.lines().find(|line| line.contains("/dev/shm              bytes")).unwrap();
    assert!(
        bytes.starts_with("! ") && bytes.ends_with(" 64.00 KiB    64.00 KiB 100% FULL"),
        "{page}"
    );
    assert_eq!(page.matches("FULL").count(), 1, "{page}");
    assert!(
        page.contains("\n/dev/shm: NOT WRITABLE for all users, mode 0755 of user 0, "),
        "{page}"
    );
    assert!(
        page.contains("mounted: /dev/shm of tmpfs from none, rw,noexec,relatime; rw,size=64k"),
        "{page}"
    );
    let answer = json();
    assert_eq!(
        answer["nearly_used"],
        json!([{ "resource": "/dev/shm", "description": "bytes", "limit": 65536, "used": 65536,
                 "level": "full" }])
    );
    let [size, free, inodes, free_inodes] =
        ["size", "free", "inodes", "free_inodes"].map(|it| answer["dev_shm"][it].as_u64().unwrap());
    let df = run("df -B1 --output=size,avail,itotal,iavail /dev/shm | tail -n 1");
    let df: Vec<u64> = df.split_whitespace().map(|it| it.parse().unwrap()).collect();
    assert_eq!([size, free, inodes, free_inodes], *df);
}

fn inodes_that_are_used_up_are_marked() {
    mount_tmpfs("/dev/shm", "nr_inodes=3");
    for name in ["one", "two"] {
        fs::write(format!("/dev/shm/{name}"), "").unwrap();
    }
    assert_eq!(resource(&page(), "/dev/shm inodes"), "! /dev/shm inodes 3 3 100% FULL");
}

fn bytes_of_unlinked_objects_are_counted() {
    mount_tmpfs("/dev/shm", "size=1m");
    fs::write("/dev/shm/gone", vec![1; 900 << 10]).unwrap();
    let _open = fs::File::open("/dev/shm/gone").unwrap();
    fs::remove_file("/dev/shm/gone").unwrap();
    let page = page();
    assert_eq!(
        resource(&page, "/dev/shm bytes"),
        "! /dev/shm bytes 1.00 MiB 900.00 KiB 87% NEARLY FULL"
    );
    assert!(page.contains("\nnot in this list: 900.00 KiB, "), "{page}");
}

fn a_read_only_dev_shm_is_marked() {
    mount_tmpfs("/dev/shm", "ro");
    assert!(page().contains("\n/dev/shm: READ-ONLY, mode 1777 "), "{}", page());
}

fn a_missing_mount_at_dev_shm_is_named() {
    run("mount -t tmpfs none /dev && mkdir /dev/shm");
    let page = page();
    assert!(
        page.contains("\n/dev/shm: NO MOUNT here, NOT WRITABLE for all users, mode 0755 "),
        "{page}"
    );
    assert!(page.contains("\n  mounted: /dev of tmpfs "), "{page}");
    assert!(
        page.contains("\nnot read: the POSIX message queues: no file system of type mqueue is "),
        "{page}"
    );
    fs::remove_dir("/dev/shm").unwrap();
    let page = self::page();
    for what in ["/dev/shm", "the POSIX objects"] {
        let line = format!("\nnot read: {what}: No such file or directory (os error 2)\n");
        assert!(page.contains(&line), "{page}");
    }
    let reason = json!({ "not_read": "No such file or directory (os error 2)" });
    assert_eq!(json()["dev_shm"], reason);
}

fn without_proc_each_missing_fact_is_named() {
    let _ = make(1, 100, 0o600);
    mount_tmpfs("/proc", "");
    let page = page();
    assert!(page.contains("\n0x00000001 0 "), "{page}");
    assert!(
        page.starts_with("IPC namespace: not read: /proc/self/ns/ipc cannot be opened\n"),
        "{page}"
    );
    for what in [
        "kernel.sem",
        "the limits of System V message queues",
        "the limits of POSIX message queues",
        "the memory cgroup",
        "/dev/shm",
        "the sets of semaphores",
        "the System V message queues",
        "the POSIX message queues",
    ] {
        assert!(page.contains(&format!("\nnot read: {what}: No such file")), "{what}: {page}");
    }
}

fn used_up_limits_of_the_namespace_are_marked() {
    for (file, value) in [("shmmni", "1"), ("sem", "100\t10\t10\t2"), ("msgmni", "0")] {
        fs::write(format!("/proc/sys/kernel/{file}"), value).unwrap();
    }
    let _ = make(1, 100, 0o600);
    let set = IpcObject::Semaphores(Key::new(1).unwrap());
    set.write_text(b"text", 9, 0o600, true).unwrap();
    let page = page();
    for (name, line) in [
        ("kernel.shmmni", "! kernel.shmmni segments 1 1 100% FULL"),
        ("kernel.sem SEMMNI", "kernel.sem SEMMNI, sets of semaphores 2 1 50%"),
        ("kernel.sem SEMMNS", "! kernel.sem SEMMNS, semaphores of all sets 10 9 90% NEARLY FULL"),
        ("kernel.msgmni", "! kernel.msgmni System V message queues 0 0 100% FULL"),
    ] {
        assert_eq!(resource(&page, name), line, "{page}");
    }
}

fn names_of_other_users_are_escaped() {
    mount_mqueue();
    mount_tmpfs("/dev/shm", "");
    for folder in ["/dev/shm", "/dev/mqueue"] {
        fs::write(format!("{folder}/\x1b[2J\u{202e}"), "").unwrap();
    }
    let page = page();
    assert!(!page.contains(['\x1b', '\u{202e}']), "{page:?}");
    assert_eq!(page.matches(r"\x1b[2J").count(), 2, "{page}");
}

fn another_user_sees_what_it_may_not_read() {
    mount_mqueue();
    let key = Key::new(7).unwrap();
    write(IpcObject::Semaphores(key), b"text", 0o600);
    write(IpcObject::Queue(key), b"text", 0o600);
    write(IpcObject::Mqueue(key), b"text", 0o600);
    let folder = PublicFolder::new();
    let mut another = run_as(NOBODY, folder.copy(env!("CARGO_BIN_EXE_shm_ls")));
    let theirs = stdout(another.arg("--all-objects"));
    assert!(theirs.contains("\nroot       0600       -            shm_0x00000007\n"), "{theirs}");
    for option in ["-s", "-q"] {
        assert!(theirs.contains(&run(&format!("ipcs {option}"))), "{option}: {theirs}");
    }
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::isolated, &[IPCS, MOUNTS, MQUEUES] =>
            objects_are_listed_as_ipcs_and_ls_list_them;
        Trial::isolated, &[MOUNTS] =>
            a_full_dev_shm_is_marked,
            inodes_that_are_used_up_are_marked,
            bytes_of_unlinked_objects_are_counted,
            a_read_only_dev_shm_is_marked,
            a_missing_mount_at_dev_shm_is_named,
            without_proc_each_missing_fact_is_named;
        Trial::isolated, &[LIMITS] =>
            used_up_limits_of_the_namespace_are_marked;
        Trial::isolated, &[MOUNTS, MQUEUES] =>
            names_of_other_users_are_escaped;
        Trial::isolated, &[IPCS, ANOTHER_USER, MQUEUES] =>
            another_user_sees_what_it_may_not_read;
    ];
    Suite::new(trials).run()
}
