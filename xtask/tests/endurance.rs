//! Many repetitions, in sequence and in parallel, and the maximum number of segments: nothing is
//! left behind, and no resource grows. Each trial runs in private namespaces.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::{fs, io, thread};

use assert_cmd::Command;
use clap::Parser;
use serde_json::Value;
use shm_cli::DEFAULT_KEY;
use shm_core::{Descriptor, Errno, Key, Segment, table};
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::{LIMITS, MOUNTS};
use shm_testkit::{Effort, Suite, Trial, count, tools, trials};

/// The resources of this process that could leak.
#[derive(Debug)]
struct Resources {
    descriptors: usize,
    segments_attached: usize,
    kib: usize,
}

impl Resources {
    fn now() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            segments_attached: maps.matches("/SYSV").count(),
            kib: resident.trim().strip_suffix(" kB").unwrap().parse().unwrap(),
        }
    }

    /// Asserts that nothing has grown since, except for 1 MiB that the allocator may keep.
    #[track_caller]
    fn have_not_grown(&self) {
        let now = Self::now();
        assert_eq!(now.descriptors, self.descriptors);
        assert_eq!(now.segments_attached, 0);
        assert!(now.kib < self.kib + 1024, "{self:?} before, {now:?} now");
    }
}

/// Asserts that the namespace contains no IPC object of any kind.
#[track_caller]
fn nothing_is_left() {
    for kind in ["shm", "sem", "msg"] {
        let listing = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap();
        assert_eq!(listing.lines().count(), 1, "{listing}");
    }
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);
}

/// The parsed command lines of the tools for one place. Parsing is not part of the repetition.
struct Pair {
    writer: shm_wr::args::Args,
    reader: shm_rd::args::Args,
    remover: shm_wr::args::Args,
}

impl Pair {
    fn at(place: &[&str]) -> Self {
        let words =
            |first: &[&'static str]| first.iter().chain(place).map(ToString::to_string).collect();
        let [writer, reader, remover]: [Vec<String>; 3] =
            [words(&["shm_wr"]), words(&["shm_rd", "--raw"]), words(&["shm_wr", "--remove"])];
        Self {
            writer: shm_wr::args::Args::parse_from(writer),
            reader: shm_rd::args::Args::parse_from(reader),
            remover: shm_wr::args::Args::parse_from(remover),
        }
    }

    /// Returns a pair for each kind of object; no other worker uses these objects.
    fn of_each_kind(worker: usize) -> Vec<Self> {
        let (key, name) = (format!("{}", worker + 1), format!("name{worker}"));
        let file = format!("/dev/shm/file{worker}");
        let objects =
            ["sem", "msg", "mqueue"].map(|kind| Self::at(&["--object", kind, "--key", &key]));
        [["--key", &*key], ["--posix", &name], ["--file", &file]]
            .iter()
            .map(|place| Self::at(place))
            .chain(objects)
            .collect()
    }

    fn write(&mut self, text: &str) {
        self.writer.text = Some(text.into());
        Self::run(&self.writer, true);
    }

    /// Removes the object, if it exists.
    fn remove(&self) {
        Self::run(&self.remover, false);
    }

    fn run(args: &shm_wr::args::Args, must: bool) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let nothing = fs::File::open("/dev/null").unwrap();
        let stdin = Descriptor(nothing.as_fd());
        let status = shm_wr::run::run(args, stdin, &mut stdout, &mut stderr);
        assert!(status == 0 || !must, "{args:?}: {}", String::from_utf8_lossy(&stderr));
    }

    fn read(&self) -> String {
        // The texts are short: a pipe holds them.
        let (reader, writer) = io::pipe().unwrap();
        let mut stderr = Vec::new();
        let stdout = Descriptor(writer.as_fd());
        let status = shm_rd::run::run(&self.reader, false, stdout, &mut stderr);
        drop(writer);
        assert_eq!(status, 0, "{:?}: {}", self.reader, String::from_utf8_lossy(&stderr));
        io::read_to_string(reader).unwrap()
    }
}

/// Writes and reads `rounds` times, cycling through the kinds of objects. Every tenth cycle removes
/// the objects.
fn pairs(worker: usize, rounds: usize) {
    let mut all = Pair::of_each_kind(worker);
    let kinds = all.len();
    for round in 0..rounds {
        let pair = &mut all[round % kinds];
        let text = format!("{worker}: {}", "x".repeat(round % 200));
        pair.write(&text);
        assert_eq!(pair.read(), text);
        if round / kinds % 10 == 9 {
            pair.remove();
        }
    }
    all.iter().for_each(Pair::remove);
}

fn pairs_in_sequence_leave_nothing_and_resources_do_not_grow() {
    mount_tmpfs("/dev/shm", "");
    pairs(0, 100);
    let before = Resources::now();
    let rounds = Effort::current().rounds;
    pairs(0, rounds);
    count("pairs of a write and a read", &[(rounds, "in a row")]);
    nothing_is_left();
    before.have_not_grown();
}

fn pairs_in_parallel_leave_nothing_and_resources_do_not_grow() {
    const WORKERS: usize = 8;
    mount_tmpfs("/dev/shm", "");
    let all = |rounds: usize| {
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                scope.spawn(move || pairs(worker, rounds));
            }
        });
    };
    all(100);
    let before = Resources::now();
    let each = Effort::current().rounds / WORKERS;
    all(each);
    count("pairs of a write and a read", &[(each * WORKERS, "side by side")]);
    nothing_is_left();
    before.have_not_grown();
}

fn parallel_writers_and_readers_of_one_key_get_only_written_letters_and_no_errors() {
    let pair = || Pair::at(&["--key", "1"]);
    let mut first = pair();
    first.write(&"a".repeat(500));
    let before = Resources::now();
    let each = Effort::current().rounds / 4;
    thread::scope(|scope| {
        for letter in ["b", "c"] {
            scope.spawn(move || {
                let (mut pair, text) = (pair(), letter.repeat(500));
                (0..each).for_each(|_| pair.write(&text));
            });
        }
        for _ in 0..2 {
            scope.spawn(move || {
                let pair = pair();
                for _ in 0..each {
                    let text = pair.read();
                    assert!(
                        text.len() == 500 && text.chars().all(|it| "abc".contains(it)),
                        "{text}"
                    );
                }
            });
        }
    });
    first.remove();
    assert_eq!(table::list().unwrap(), []);
    before.have_not_grown();
}

/// Writes and reads with separate processes, under a key that only this worker uses.
fn pairs_of_processes(worker: usize, rounds: usize) {
    let key = (worker + 1).to_string();
    for round in 0..rounds {
        let text = format!("{worker}: {round}");
        tools::tool("shm_wr").args(["--key", &key, &text]).assert().code(0);
        tools::tool("shm_rd").args(["--key", &key, "--raw"]).assert().code(0).stdout(text);
        if round % 10 == 9 {
            tools::tool("shm_wr").args(["--key", &key, "--remove"]).assert().code(0);
        }
    }
}

fn processes_in_sequence_and_in_parallel_leave_nothing_and_no_attachment() {
    const WORKERS: usize = 4;
    let rounds = Effort::current().rounds_of_processes;
    // The first processes leave some descriptors open in this one, so warm up.
    pairs_of_processes(0, 10);
    let before = Resources::now();
    pairs_of_processes(0, rounds);
    assert_eq!(table::list().unwrap(), []);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || pairs_of_processes(worker, rounds / WORKERS));
        }
    });
    count("pairs of a write and a read", &[(2 * rounds, "by processes")]);
    assert_eq!(table::list().unwrap(), []);
    assert_eq!(Resources::now().descriptors, before.descriptors);
}

/// The default of `kernel.shmmni`.
const MOST: i32 = 4096;

/// Runs `shm_ls` with at most 4 MiB of private data (`RLIMIT_DATA`, see `setrlimit(2)`).
fn shm_ls(arguments: &[&str]) -> String {
    let mut limited = Command::new("prlimit");
    limited.arg("--data=4194304").arg("--").arg(tools::path("shm_ls")).args(arguments);
    let assert = limited.assert().code(0);
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn the_maximum_number_of_segments_is_listed_in_4_mib_of_memory() {
    fs::write("/proc/sys/kernel/shmmni", MOST.to_string()).unwrap();
    for raw in 1..=MOST {
        let key = Key::new(raw).unwrap();
        let _ = Segment::create_new(key, usize::try_from(raw).unwrap(), 0o600).unwrap();
    }
    let one_more = Segment::create_new(DEFAULT_KEY, 1, 0o600).unwrap_err();
    assert_eq!(one_more.errno(), Some(Errno::ENOSPC));
    let refused = tools::tool("shm_wr").arg("text").assert().code(255);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    let cause = "\ncause: all 4096 segments that kernel.shmmni allows are in use\n";
    assert!(said.contains(cause), "{said}");

    let listing = shm_ls(&[]);
    let listed = table::Table::parse(&listing).unwrap().0;
    let sizes: std::collections::BTreeMap<_, _> =
        listed.iter().map(|row| (row.key, row.bytes)).collect();
    assert!(sizes.into_iter().eq((1..=MOST).map(|raw| (raw, u64::try_from(raw).unwrap()))));
    let json: Value = serde_json::from_str(&shm_ls(&["--json"])).unwrap();
    assert_eq!(json["segments"].as_array().unwrap().len(), listed.len());
    count("segments at once", &[(listed.len(), "listed")]);
    // Without /proc, shm_ls enumerates the segments with shmctl(2) and finds the same ones.
    mount_tmpfs("/proc", "");
    assert_eq!(shm_ls(&[]), listing);
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::isolated, &[MOUNTS] =>
            pairs_in_sequence_leave_nothing_and_resources_do_not_grow,
            pairs_in_parallel_leave_nothing_and_resources_do_not_grow;
        Trial::isolated, &[] =>
            parallel_writers_and_readers_of_one_key_get_only_written_letters_and_no_errors,
            processes_in_sequence_and_in_parallel_leave_nothing_and_no_attachment;
        Trial::isolated, &[LIMITS, MOUNTS] =>
            the_maximum_number_of_segments_is_listed_in_4_mib_of_memory;
    ];
    Suite::new(trials).prepared_by(tools::environment).run()
}
