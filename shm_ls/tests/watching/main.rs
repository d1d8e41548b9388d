//! `shm_ls --watch`, in a namespace that only the trial uses.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::{self, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use serde_json::{Value, json};
use shm_cli::DEFAULT_KEY;
use shm_core::{IpcNamespace, Key, Segment};
use shm_testkit::need::ANOTHER_USER;
use shm_testkit::programs::{NOBODY, PublicFolder};
use shm_testkit::{Suite, Trial, trials, wait};

/// A running `shm_ls --watch`, and the lines of its log that were read.
struct Watch {
    log: tempfile::NamedTempFile,
    runner: thread::JoinHandle<Assert>,
    pid: String,
    seen: usize,
}

impl Watch {
    /// Starts it, with `around` before it on the command line; returns it and its first line.
    fn start(around: &str, options: &str) -> (Self, String) {
        Self::of(Path::new(env!("CARGO_BIN_EXE_shm_ls")), around, options)
    }

    /// Does the same with a copy of the program.
    fn of(program: &Path, around: &str, options: &str) -> (Self, String) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let program = program.display();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {around} '{program}' --watch {options} >\"$0\"")]);
        shell.arg(log.path()).timeout(Duration::from_secs(30));
        let runner = thread::spawn(move || shell.assert());
        // The trial has a private pid namespace, so there is no other `shm_ls`.
        let pid = wait::until("process", || {
            let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
            let names = entries.map(|entry| entry.file_name().into_string().unwrap());
            let is_it = |pid: &String| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "shm_ls\n")
            };
            names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).find(is_it)
        });
        let mut watch = Self { log, runner, pid, seen: 0 };
        let first = watch.next();
        (watch, first)
    }

    /// Waits for the next line of the log.
    fn next(&mut self) -> String {
        let line = wait::until("line", || {
            let log = fs::read_to_string(&self.log).unwrap();
            log.split_inclusive('\n')
                .nth(self.seen)
                .filter(|line| line.ends_with('\n'))
                .map(str::to_owned)
        });
        self.seen += 1;
        line
    }

    /// Sends a signal; checks that it ends at once with status 0 and that no line is unread.
    fn stop(self, signal: &str) {
        let seen = self.seen;
        assert_eq!(self.finish(signal).lines().count(), seen);
    }

    /// Sends a signal; checks that it ends at once with status 0, and returns its log.
    fn finish(self, signal: &str) -> String {
        let start = Instant::now();
        Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.pid)]).assert().success();
        self.runner.join().unwrap().code(0).stdout("").stderr("");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        fs::read_to_string(&self.log).unwrap()
    }
}

fn the_first_line_has_the_namespace_and_the_interval() {
    let namespace = IpcNamespace::current().unwrap();
    for (option, interval) in [("", 250), ("--interval 20", 20)] {
        let (watch, first) = Watch::start("", option);
        assert_eq!(
            first,
            format!(
                "watching {namespace} every {interval} ms; segments that live shorter can be \
                 missed\n"
            )
        );
        watch.stop("TERM");
    }
}

/// Segments that live 100 ms each are all seen every 5 ms, and few of them every 1000 ms.
fn a_shorter_interval_sees_segments_that_live_shorter() {
    const SEGMENTS: i32 = 10;
    let seen = |interval: &str| {
        let (watch, _) = Watch::start("", &format!("--interval {interval}"));
        for key in 1..=SEGMENTS {
            let segment = Segment::create_new(Key::new(key).unwrap(), 100, 0o600).unwrap();
            thread::sleep(Duration::from_millis(100));
            segment.remove().unwrap();
        }
        watch.finish("TERM").matches("appeared").count()
    };
    assert_eq!(seen("5"), 10);
    assert!(seen("1000") <= 2);
}

fn an_id_selects_one_segment() {
    let [one, other] =
        [1, 2].map(|key| Segment::create_new(Key::new(key).unwrap(), 100, 0o600).unwrap());
    let (mut watch, _) = Watch::start("", &format!("--interval 10 --id {}", one.id()));
    assert!(watch.next().starts_with("appeared key=0x00000001 "));
    other.remove().unwrap();
    one.remove().unwrap();
    assert!(watch.next().starts_with("gone key=0x00000001 "));
    watch.stop("TERM");
}

fn an_existing_segment_has_a_line() {
    let segment = Segment::create_new(DEFAULT_KEY, 1024, 0o666).unwrap();
    let (mut watch, _) = Watch::start("", "");
    assert_eq!(
        watch.next(),
        format!(
            "appeared key=0x0134b3d5 shmid={} uid=0 mode=0666 bytes=1024 nattch=0 cpid={} lpid=0\n",
            segment.id(),
            process::id()
        )
    );
    watch.stop("TERM");
}

fn each_change_has_a_line_until_the_segment_is_gone() {
    let (mut watch, _) = Watch::start("", "");
    let segment = Segment::create_new(Key::new(1).unwrap(), 100, 0o640).unwrap();
    let (id, own) = (segment.id(), process::id());
    let line = |event: &str, key: i32, nattch: u64, lpid: u32, status: &str| {
        format!(
            "{event} key=0x{key:08x} shmid={id} uid=0 mode=0640 bytes=100 nattch={nattch} \
             cpid={own} lpid={lpid}{status}\n"
        )
    };
    assert_eq!(watch.next(), line("appeared", 1, 0, 0, ""));
    let attachment = segment.attach().unwrap();
    assert_eq!(watch.next(), line("changed", 1, 1, own, ""));
    segment.lock().unwrap();
    assert_eq!(watch.next(), line("changed", 1, 1, own, " locked"));
    segment.remove().unwrap();
    assert_eq!(watch.next(), line("changed", 0, 1, own, " dest locked"));
    drop(attachment);
    assert_eq!(watch.next(), line("gone", 0, 1, own, " dest locked"));
    watch.stop("TERM");
}

fn json_has_an_object_a_line() {
    let (mut watch, first) = Watch::start("", "--json");
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let first = read(&first);
    assert_eq!((&first["event"], &first["interval_ms"]), (&"watching".into(), &250.into()));
    assert_eq!(first["ipc_namespace"], json!(IpcNamespace::current().unwrap()));
    let segment = Segment::create_new(Key::new(1).unwrap(), 100, 0o640).unwrap();
    let stat = json!(segment.stat().unwrap());
    assert_eq!(read(&watch.next()), json!({ "event": "appeared", "segment": stat }));
    segment.remove().unwrap();
    assert_eq!(read(&watch.next()), json!({ "event": "gone", "segment": stat }));
    watch.stop("TERM");
}

fn sigint_and_sighup_end_it_too() {
    for signal in ["INT", "HUP"] {
        let (watch, _) = Watch::start("", "");
        watch.stop(signal);
    }
}

fn the_first_process_of_a_pid_namespace_ends_at_once_too() {
    let (watch, _) = Watch::start("unshare --pid --fork --kill-child", "");
    let status = fs::read_to_string(format!("/proc/{}/status", watch.pid)).unwrap();
    let ids = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
    assert_eq!(ids.split_whitespace().last(), Some("1"), "it is the first process there");
    watch.stop("TERM");
}

fn it_needs_no_thread() {
    let folder = PublicFolder::new();
    let program = folder.copy(env!("CARGO_BIN_EXE_shm_ls"));
    // As another user, because the limit does not apply to root.
    let user = format!("setpriv {NOBODY} prlimit --nproc=1");
    let (watch, first) = Watch::of(&program, &user, "");
    assert!(first.starts_with("watching ipc:["), "{first}");
    watch.stop("TERM");
}

fn after_its_reader_closed_the_next_line_ends_it() {
    let program = env!("CARGO_BIN_EXE_shm_ls");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{{ '{program}' --watch; echo $? >&2; }} | head -n 1")]);
    let runner = thread::spawn(move || shell.timeout(Duration::from_secs(20)).assert());
    // It ends with the first line after `head` has gone, so there are lines until then.
    let mut key = 0;
    let assert = loop {
        if runner.is_finished() {
            break runner.join().unwrap();
        }
        key += 1;
        let _ = Segment::create_new(Key::new(key).unwrap(), 100, 0o600).unwrap();
        thread::sleep(Duration::from_millis(100));
    };
    assert.stderr("141\n");
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::isolated, &[] =>
            the_first_line_has_the_namespace_and_the_interval,
            a_shorter_interval_sees_segments_that_live_shorter,
            an_id_selects_one_segment,
            an_existing_segment_has_a_line,
            each_change_has_a_line_until_the_segment_is_gone,
            json_has_an_object_a_line,
            sigint_and_sighup_end_it_too,
            the_first_process_of_a_pid_namespace_ends_at_once_too,
            after_its_reader_closed_the_next_line_ends_it;
        Trial::isolated, &[ANOTHER_USER] =>
            it_needs_no_thread;
    ];
    Suite::new(trials).run()
}
