//! Faults in a table: what is wrong, at which call, and how the run must end. None may hang, pass for
//! a good answer, or leave anything that `cargo xtask clean` does not remove.

use std::time::Duration;

use serde_json::Value;
use shm_testkit::{Effort, Failed, Trial, count};

use crate::interrupted::Running;
use crate::leftovers::of_runs_that_are_gone;
use crate::machine::{Engine, Wrappers, by_driver, xtask};

/// How a run must end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// With status 2 and these words, and with a next step.
    Error(&'static str),
    /// With status 1: what was observed differs.
    Differs,
    /// With status 0: the answer does not matter.
    Passes,
}
use End::{Differs, Error, Passes};

/// A row of the table: a fault, and at which calls it is made with which end.
struct Fault {
    name: &'static str,
    /// What a shell does instead of the call.
    script: &'static str,
    ends: &'static [(&'static str, End)],
}

/// How long a command may take in these runs, in seconds.
const LIMIT: &str = "10";

/// How long a run may take: a hang costs the limit, once in the run and once in cleaning up.
const BOUND: Duration = Duration::from_mins(2);

const ENDLESS: &str = "sleep 1000 & sleep 1000";
const DETACHED: &str = "setsid sleep 20 & sleep 1000";
const FLOOD: &str = "yes | head -c 100000000; exit 0";
const GARBAGE: &str = "head -c 5000 /dev/urandom; exit 0";
const HALF: &str = r#"echo '{"Client":{"Version":"1'; exit 0"#;
const NOTHING: &str = "exit 0";
const SILENCE: &str = "exit 7";
const KILLED: &str = "kill -9 $$";
/// It goes on behind a client that is gone.
const LATER: &str = r#"(sleep 0.5; "$real" "$@") >/dev/null 2>&1 & kill -9 $$"#;

const TIMED_OUT: End = Error("did not finish within 10 s and was killed");
const UNEXPECTED: End = Error("unexpected output");
const LEFT: End = Error("may be left");
const GONE: End = Error("the container is gone or cannot be inspected");
const MUTE: End = Error("exit status: 7\n  (it printed nothing)");
const BY_SIGNAL: End = Error("exit status: none, ended by a signal");
const TOO_MUCH: End = Error("printed more than 64 MiB and was killed");

/// On engines with docker's command line; a call is how its arguments begin.
const OF_ENGINES: &[Fault] = &[
    Fault {
        name: "a_hang",
        script: ENDLESS,
        ends: &[
            ("exec", TIMED_OUT),
            ("version", TIMED_OUT),
            ("image inspect", TIMED_OUT),
            ("run", TIMED_OUT),
            ("inspect", TIMED_OUT),
            ("ps --filter", TIMED_OUT),
            ("stop", TIMED_OUT),
            ("start", TIMED_OUT),
            ("ps --all", TIMED_OUT),
            ("rm", TIMED_OUT),
        ],
    },
    Fault {
        name: "a_hang_with_a_grandchild_that_has_left_and_holds_the_pipes",
        script: DETACHED,
        ends: &[("exec", TIMED_OUT)],
    },
    Fault {
        name: "success_with_nothing_done",
        script: NOTHING,
        ends: &[
            ("stop", Differs),
            ("image inspect", UNEXPECTED),
            ("version", UNEXPECTED),
            ("run", GONE),
            ("inspect", UNEXPECTED),
            ("exec", Differs),
            ("ps --filter", Differs),
            ("start", Error("is not running after its start")),
            // What is known to be there is removed by name.
            ("ps --all", Passes),
            ("rm", LEFT),
        ],
    },
    Fault {
        name: "a_failure_without_words",
        script: SILENCE,
        ends: &[
            ("start", MUTE),
            ("version", Error("it printed nothing")),
            ("image inspect", MUTE),
            ("run", MUTE),
            ("inspect", MUTE),
            ("exec", Differs),
            ("ps --filter", MUTE),
            ("stop", MUTE),
            ("ps --all", MUTE),
            ("rm", LEFT),
        ],
    },
    Fault {
        name: "a_client_that_is_killed",
        script: KILLED,
        ends: &[
            ("run", BY_SIGNAL),
            ("version", Error("it printed nothing")),
            ("image inspect", BY_SIGNAL),
            ("inspect", BY_SIGNAL),
            ("exec", Differs),
            ("ps --filter", BY_SIGNAL),
            ("stop", BY_SIGNAL),
            ("start", BY_SIGNAL),
            ("ps --all", BY_SIGNAL),
            ("rm", LEFT),
        ],
    },
    Fault {
        name: "a_client_that_is_killed_before_its_daemon_is_done",
        script: LATER,
        ends: &[("run", BY_SIGNAL)],
    },
    Fault {
        name: "garbage",
        script: GARBAGE,
        ends: &[
            ("inspect", UNEXPECTED),
            ("version", UNEXPECTED),
            ("image inspect", UNEXPECTED),
            ("exec", Differs),
            ("ps --filter", Differs),
            ("ps --all", LEFT),
        ],
    },
    Fault {
        name: "half_an_answer",
        script: HALF,
        ends: &[
            ("version", UNEXPECTED),
            ("image inspect", UNEXPECTED),
            ("inspect", UNEXPECTED),
            ("ps --all", LEFT),
        ],
    },
    Fault {
        name: "output_without_end",
        script: FLOOD,
        ends: &[
            ("exec", TOO_MUCH),
            ("version", TOO_MUCH),
            ("inspect", TOO_MUCH),
            ("ps --all", TOO_MUCH),
        ],
    },
    Fault {
        name: "an_answer_that_takes_its_time",
        script: r#"sleep 0.2; exec "$real" "$@""#,
        ends: &[("", Passes)],
    },
    Fault {
        name: "garbage_around_what_was_done",
        script: r#""$real" "$@" >/dev/null; status=$?; head -c 5000 /dev/urandom; exit $status"#,
        ends: &[("run", Passes), ("stop", Passes), ("start", Passes), ("rm", Passes)],
    },
    Fault {
        name: "a_container_that_ends_at_once",
        script: r#"exec "$real" "$@" /bin/shm_ls"#,
        ends: &[("run", Error("its process ended with status 0"))],
    },
    Fault {
        name: "a_container_that_is_killed_in_the_middle",
        script: r#""$real" kill "$2" >/dev/null; exec "$real" "$@""#,
        ends: &[("exec", Error("no longer running: its process ended with status 137"))],
    },
    Fault {
        name: "a_container_that_vanishes_in_the_middle",
        script: r#""$real" rm --force "$2" >/dev/null; exec "$real" "$@""#,
        ends: &[("exec", GONE)],
    },
    Fault {
        // What it keeps in /dev/shm counts as its memory.
        name: "a_container_that_takes_too_much_memory",
        script: r#"shift; exec "$real" run --memory 8m --memory-swap 8m "$@" \
            /bin/shm_wr --posix large --size 60000000 text"#,
        // Docker says for what; podman does not always know.
        ends: &[("run", Error("its process ended with status 137"))],
    },
];

/// On plain namespaces; a call is the program and how its arguments begin, as a shell's
/// pattern.
const OF_NAMESPACES: &[Fault] = &[
    Fault {
        name: "a_hang",
        script: ENDLESS,
        ends: &[
            ("nsenter", TIMED_OUT),
            ("unshare --version", TIMED_OUT),
            ("unshare --ipc --mount true", TIMED_OUT),
            ("unshare *--watch", Error("no container after 10 s")),
            ("lsns", TIMED_OUT),
        ],
    },
    Fault {
        name: "success_with_nothing_done",
        script: NOTHING,
        ends: &[
            ("unshare --version", Passes),
            ("unshare *--watch", Error("did not start")),
            ("nsenter", Differs),
            ("lsns", Differs),
        ],
    },
    Fault {
        name: "a_failure_without_words",
        script: SILENCE,
        ends: &[
            ("unshare --version", Passes),
            ("unshare *--watch", MUTE),
            ("nsenter", Differs),
            ("lsns", MUTE),
        ],
    },
    Fault {
        name: "a_program_that_is_killed",
        script: KILLED,
        ends: &[("unshare *--watch", BY_SIGNAL), ("nsenter", Differs), ("lsns", BY_SIGNAL)],
    },
    Fault {
        name: "garbage",
        script: GARBAGE,
        ends: &[("nsenter", Differs), ("lsns", Differs), ("unshare --version", Passes)],
    },
    Fault {
        name: "output_without_end",
        script: FLOOD,
        ends: &[("nsenter", TOO_MUCH), ("lsns", TOO_MUCH), ("unshare --version", TOO_MUCH)],
    },
    Fault {
        name: "an_answer_that_takes_its_time",
        script: r#"sleep 0.2; exec "$real" "$@""#,
        ends: &[("nsenter", Passes), ("unshare", Passes), ("lsns", Passes)],
    },
];

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let (every_fault, mut trials) = (Effort::current().every_fault, Vec::new());
    for engine in by_driver(engines) {
        let table = if engine.has_containers() { OF_ENGINES } else { OF_NAMESPACES };
        for fault in table {
            for (index, &(call, end)) in fault.ends.iter().enumerate() {
                let call_in_name = call.replace([' ', '-', '*'], "_");
                let name = format!("{}_at_{call_in_name}_ends_as_it_should", fault.name);
                let run = move |engine: &Engine| ends(engine, fault.script, call, end);
                let trial = engine.trial(&name, run);
                // The first of a row is enough between two commits.
                trials.push(if index == 0 || every_fault.contains(&engine.name) {
                    trial
                } else {
                    trial
                        .left_out("it is slow: a soak (SHM_SOAK=1) has it on docker and namespaces")
                });
            }
        }
        if engine.has_containers() {
            let name = "a_failure_where_a_refusal_is_predicted_is_no_refusal";
            trials.push(engine.trial(name, no_refusal));
        }
    }
    trials
}

/// Wraps what is called, so that the call does something else.
fn wrappers(engine: &Engine, script: &str, call: &str) -> Wrappers {
    let (program, call) = match call.split_once(' ') {
        _ if engine.has_containers() => (engine.name, call),
        Some(split) => split,
        None => (call, ""),
    };
    let pattern = call.replace(' ', r"\ ");
    Wrappers::new().wrap(program, &format!("case \"$*\" in {pattern}*)\n{script};;\nesac"))
}

fn ends(engine: &Engine, script: &str, call: &str, end: End) -> Result<(), Failed> {
    let wrappers = wrappers(engine, script, call);
    let experiment = engine.experiment().with(&wrappers).arg("--timeout").arg(LIMIT);
    let running =
        Running::start(experiment.arg("--format").arg("json").args(), &path(&wrappers, engine))?;
    let output = running.output(BOUND)?;
    let (stdout, stderr) = (&output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    if !of_runs_that_are_gone(engine)?.is_empty() {
        // Only where removing was what failed, or where nobody can know.
        xtask().arg("clean").output()?;
        let left = of_runs_that_are_gone(engine)?;
        assert!(left.is_empty(), "clean leaves {left:?}");
        assert!(stderr.contains("cargo xtask clean"), "it is not told of: {stderr}");
    }
    let status = match end {
        Error(_) => 2,
        Differs => 1,
        Passes => 0,
    };
    let text = String::from_utf8_lossy(stdout);
    let text: String = text.chars().take(3000).collect();
    assert_eq!(output.status.code(), Some(status), "{}\n{stderr}\n{text}", output.status);
    // Whatever an engine prints, a terminal is shown none of it raw.
    assert!(!stderr.contains('\u{fffd}') && stderr.len() < 10_000, "{stderr}");
    let counted = format!("faults of calls on {}", engine.name);
    if let Error(words) = end {
        assert!(stdout.is_empty(), "there is a report: {text}");
        for words in [words, "next step:"] {
            assert!(stderr.contains(words), "no {words:?} in: {stderr}");
        }
        count(&counted, &[(1, "named errors")]);
        return Ok(());
    }
    let report: Value = serde_json::from_slice(stdout)?;
    let verdict = if status == 0 { "pass" } else { "fail" };
    assert_eq!(report["verdict"], verdict, "{report}");
    count(&counted, &[(1, if status == 0 { "without effect" } else { "differences" })]);
    Ok(())
}

fn path(wrappers: &Wrappers, engine: &Engine) -> String {
    engine.experiment().with(wrappers).path()
}

/// A joiner of a private container is refused; that the disk is full is something else.
fn no_refusal(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $*" in run*-joiner*)
        echo "Error: mkdir /var/lib/x: no space left on device" >&2; exit 125;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let mut matrix = xtask();
    matrix.args(["matrix", "--engine", engine.name, "--format", "json"]);
    matrix.args(["--only", "sysv/private/pause/joiner"]);
    let output = matrix.env("PATH", path(&wrappers, engine)).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{:?}: {stderr}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let cell = &report["engines"][0]["cells"][0];
    assert_eq!(cell["verdict"], "differs", "{cell}");
    let reason = cell["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no space left on device"), "{reason}");
    Ok(())
}
