//! A table of faults: the fault, the call, and how the run must end. No run may hang, take a fault
//! for a good answer, or leave anything that `cargo xtask clean` does not remove.

use std::time::Duration;

use serde_json::Value;
use shm_testkit::{Effort, Failed, Trial, count};

use crate::interrupted::Running;
use crate::leftovers::of_ended_runs;
use crate::machine::{Engine, Wrappers, by_driver, xtask};

/// How a run must end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// With status 2, these words and a next step.
    Error(&'static str),
    /// With status 1: an observation differs.
    Differs,
    /// With status 0: the run does not depend on the answer.
    Passes,
}
use End::{Differs, Error, Passes};

/// A row of the table: a fault, the calls at which it is injected, and how each run must end.
struct Fault {
    name: &'static str,
    /// A shell script that replaces the call.
    script: &'static str,
    ends: &'static [(&'static str, End)],
}

/// How long a command may take in these runs, in seconds.
const LIMIT: &str = "10";

/// How long a run may take. A hang costs the limit twice: in the run and in the cleanup.
const BOUND: Duration = Duration::from_mins(2);

const ENDLESS: &str = "sleep 1000 & sleep 1000";
const DETACHED: &str = "setsid sleep 20 & sleep 1000";
const FLOOD: &str = "yes | head -c 100000000; exit 0";
const GARBAGE: &str = "head -c 5000 /dev/urandom; exit 0";
const HALF: &str = r#"echo '{"Client":{"Version":"1'; exit 0"#;
const NOTHING: &str = "exit 0";
const SILENCE: &str = "exit 7";
const KILLED: &str = "kill -9 $$";
/// The daemon executes the command after the client was killed.
const LATER: &str = r#"(sleep 0.5; "$real" "$@") >/dev/null 2>&1 & kill -9 $$"#;

const TIMED_OUT: End = Error("did not finish within 10 s and was killed");
const UNEXPECTED: End = Error("unexpected output");
const LEFT: End = Error("may be left");
const GONE: End = Error("the container is gone or cannot be inspected");
const MUTE: End = Error("exit status: 7\n  (it printed nothing)");
const BY_SIGNAL: End = Error("exit status: none, ended by a signal");
const TOO_MUCH: End = Error("printed more than 64 MiB and was killed");

/// Faults of engines with Docker's command line. A call is named by its first arguments.
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
        name: "a_hang_with_a_detached_grandchild_that_holds_the_pipes",
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
            // Containers that are known to exist are removed by name.
            ("ps --all", Passes),
            ("rm", LEFT),
        ],
    },
    Fault {
        name: "a_failure_without_a_message",
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
        name: "a_client_that_is_killed_before_its_daemon_has_finished",
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
        name: "a_slow_answer",
        script: r#"sleep 0.2; exec "$real" "$@""#,
        ends: &[("", Passes)],
    },
    Fault {
        name: "success_with_garbage_output",
        script: r#""$real" "$@" >/dev/null; status=$?; head -c 5000 /dev/urandom; exit $status"#,
        ends: &[("run", Passes), ("stop", Passes), ("start", Passes), ("rm", Passes)],
    },
    Fault {
        name: "a_container_that_ends_at_once",
        script: r#"exec "$real" "$@" /bin/shm_ls"#,
        ends: &[("run", Error("its process ended with status 0"))],
    },
    Fault {
        name: "a_container_that_is_killed_during_the_run",
        script: r#""$real" kill "$2" >/dev/null; exec "$real" "$@""#,
        ends: &[("exec", Error("no longer running: its process ended with status 137"))],
    },
    Fault {
        name: "a_container_that_is_removed_during_the_run",
        script: r#""$real" rm --force "$2" >/dev/null; exec "$real" "$@""#,
        ends: &[("exec", GONE)],
    },
    Fault {
        // Data in /dev/shm counts as memory of the container.
        name: "a_container_that_takes_too_much_memory",
        script: r#"shift; exec "$real" run --memory 8m --memory-swap 8m "$@" \
            /bin/shm_wr --posix large --size 60000000 text"#,
        // Docker reports that it ran out of memory; podman does not always know.
        ends: &[("run", Error("its process ended with status 137"))],
    },
];

/// Faults of plain namespaces. A call is named by the program and its first arguments, as a shell
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
        name: "a_failure_without_a_message",
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
        name: "a_slow_answer",
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
                let name = format!("{}_at_{call_in_name}_ends_as_expected", fault.name);
                let run = move |engine: &Engine| ends(engine, fault.script, call, end);
                let trial = engine.trial(&name, run);
                // An ordinary run injects only the first fault of each row.
                trials.push(if index == 0 || every_fault.contains(&engine.name) {
                    trial
                } else {
                    trial
                        .left_out("it is slow: a soak (SHM_SOAK=1) has it on docker and namespaces")
                });
            }
        }
        if engine.has_containers() {
            let name = "another_error_is_not_taken_for_a_predicted_refusal";
            trials.push(engine.trial(name, no_refusal));
        }
    }
    trials
}

/// Creates a wrapper that runs `script` instead of the call.
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
    if !of_ended_runs(engine)?.is_empty() {
        // Something may be left only if the removal failed or its result is unknown.
        xtask().arg("clean").output()?;
        let left = of_ended_runs(engine)?;
        assert!(left.is_empty(), "clean leaves {left:?}");
        assert!(stderr.contains("cargo xtask clean"), "clean is not mentioned in: {stderr}");
    }
    let status = match end {
        Error(_) => 2,
        Differs => 1,
        Passes => 0,
    };
    let text = String::from_utf8_lossy(stdout);
    let text: String = text.chars().take(3000).collect();
    assert_eq!(output.status.code(), Some(status), "{}\n{stderr}\n{text}", output.status);
    // Binary output of an engine must not reach the terminal.
    assert!(!stderr.contains('\u{fffd}') && stderr.len() < 10_000, "{stderr}");
    let counted = format!("faults of calls on {}", engine.name);
    if let Error(words) = end {
        assert!(stdout.is_empty(), "standard output has a report: {text}");
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

/// Joining a private container is refused by design; a full disk is another error.
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
    assert_eq!(cell["verdict"], "unclear", "{cell}");
    let reason = cell["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no space left on device"), "{reason}");
    Ok(())
}
