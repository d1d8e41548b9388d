//! Engines whose lies look like correct answers: only the controls differ, or the namespaces that
//! the processes report.

use assert_cmd::Command;
use shm_core::{Key, Segment};
use shm_testkit::{Failed, Trial};

use crate::leftovers::of_ended_runs;
use crate::machine::{Engine, Wrappers, by_driver, failed_steps};

/// A lie, made of parts of a wrapper script in which `$1` is the engine's command.
struct Lie {
    name: &'static str,
    pieces: &'static [&'static str],
    /// The conclusion that must not pass.
    doubted: &'static str,
    /// A step that must fail.
    step: &'static str,
}

/// Defines a folder per run for the wrapper's state, and functions that record and replay output.
const MEMORY: &str = r#"memory=${0%/*}/$(expr "$*" : '.*shm-\([0-9a-f]*\)-[AB]'); mkdir -p "$memory"
again() { case "$1" in *-A) test -e "$memory/again";; *) false;; esac; }
replay() { cat "$memory/$1.err" >&2; cat "$memory/$1.out"; exit "$(cat "$memory/$1.status")"; }
record() { name=$1; shift; "$real" "$@" >"$memory/$name.out" 2>"$memory/$name.err"
    echo $? >"$memory/$name.status"; replay "$name"; }
[ "$1" = start ] && touch "$memory/again""#;

/// A joins a hidden container that keeps A's namespace alive across restarts.
const HELD: &str = r#"case "$1 $4" in run*-A) name=$4; shift 4
    "$real" run --detach --name "$name-held" --ipc=shareable "$@" >/dev/null || exit
    until "$real" inspect --format '{{.State.Status}}' "$name-held" | grep -q running; do sleep 0.1; done
    set -- run --detach --name "$name" --ipc="container:$name-held" "$@";; esac"#;

/// `inspect` of A reports a decoy, which has its own namespace and restarts with A.
const DECOY: &str = r#"case "$1 $4" in
    run*-A) name=$4; rest=$*; rest=${rest#run --detach --name "$name"}; rest=${rest#* --ipc=*held}
        "$real" run --detach --name "$name-decoy" $rest >/dev/null || exit;;
    inspect*-A) set -- inspect --format "$3" "$4-decoy";; esac
case "$1 $2" in stop*-A | start*-A) "$real" "$1" "$2-decoy" >/dev/null || exit;; esac"#;

/// The engine reports no process id for A, and A does not report its namespace.
const NO_PROCESS: &str = r#"case "$1 $4" in inspect*-A)
    "$real" "$@" | awk '{ $2 = 0; print }'; exit 0;; esac
case "$*" in exec*-A*"shm_ls --json") echo; exit 0;; esac"#;

/// Replays B's output from before its write as A's output after the restart.
const NOTHING_FROM_B: &str = r#"case "$1 $2 $3" in
    exec*-B*shm_rd | exec*-B*shm_ls) [ -e "$memory/$3.status" ] || record "$3" "$@";;
    exec*-A*shm_rd | exec*-A*shm_ls) again "$2" && replay "$3";; esac"#;

/// The same, but only once for each tool.
const NOTHING_AT_FIRST: &str = r#"case "$1 $2 $3" in
    exec*-B*shm_rd | exec*-B*shm_ls) [ -e "$memory/$3.status" ] || record "$3" "$@";;
    exec*-A*shm_rd | exec*-A*shm_ls) again "$2" && mkdir "$memory/$3.said" 2>/dev/null &&
        replay "$3";; esac"#;

/// Replaces every namespace in the output of A's commands with the decoy's.
const RENAMED: &str = r#"case "$1 $2" in exec*-A) name=$2
    own=$("$real" exec "$name-decoy" shm_ls --json)
    inode=$(expr "$own" : '.*"inode":\([0-9]*\)'); id=$(expr "$own" : '.*"id":\([0-9]*\)')
    rename() { sed -e "s/ipc:\[[0-9]*\] id [0-9]*/ipc:[$inode] id $id/" \
        -e "s/\"inode\":[0-9]*,\"id\":[0-9]*/\"inode\":$inode,\"id\":$id/"; }
    again "$name" && mkdir "$memory/$3.said" 2>/dev/null && case "$3" in shm_rd | shm_ls)
        rename <"$memory/$3.err" >&2; rename <"$memory/$3.out"; exit "$(cat "$memory/$3.status")";; esac
    "$real" "$@" >"$memory/$$.out" 2>"$memory/$$.err"; status=$?
    rename <"$memory/$$.err" >&2; rename <"$memory/$$.out"; exit $status;; esac
case "$1 $2 $3" in exec*-B*shm_rd | exec*-B*shm_ls)
    [ -e "$memory/$3.status" ] || record "$3" "$@";; esac"#;

/// Swaps the commands for A and B after the restart; repeated commands get the recorded answer.
const SWAPPED: &str = r#"case "$1 $2" in exec*-[AB]) [ -e "$memory/again" ] && {
    name=$2; case "$name" in *-A) other=${name%-A}-B;; *) other=${name%-B}-A;; esac; shift 2
    call=$(echo "$name $*" | tr -c 'a-zA-Z0-9\n' _)
    [ -e "$memory/$call.status" ] && replay "$call"
    record "$call" exec "$other" "$@"; };; esac"#;

/// Redirects the commands for A to a third container, and to a fourth after the restart.
const ELSEWHERE: &str = r#"case "$1 $4" in run*-A) name=$4; shift 4
    for third in before after; do
        "$real" run --detach --name "$name-$third" "$@" >/dev/null || exit; done
    set -- run --detach --name "$name" "$@";; esac
case "$1 $2" in exec*-A) name=$2; shift 2; third=before; again "$name" && third=after
    set -- exec "$name-$third" "$@";; esac"#;

/// A shares B's namespace. Before the restart its commands are not run but answered with the known
/// output of an isolated container.
const CANNED: &str = r#"running() { "$real" inspect --format '{{.State.Status}}' "$1" 2>&1 | grep -q running; }
case "$1 $4" in
    run*-B) name=$4; shift 4; set -- run --detach --name "$name" --ipc=shareable "$@";;
    run*-A) name=$4; shift 4; "$real" run --detach --name "$name-decoy" "$@" >/dev/null || exit
        until running "${name%-A}-B"; do sleep 0.1; done
        set -- run --detach --name "$name" --ipc="container:${name%-A}-B" "$@";;
    inspect*-A) set -- inspect --format "$3" "$4-decoy";; esac
case "$1 $2" in
    stop*-A) "$real" stop "$2-decoy" >/dev/null || exit;;
    start*-A) "$real" start "$2-decoy" >/dev/null || exit
        until running "${2%-A}-B"; do sleep 0.1; done;; esac
case "$1 $2 $3" in exec*-A*shm_*) again "$2" || case "$3" in
    shm_wr) expr "$*" : '.*--key \([^ ]*\)' >"$memory/key"; echo shm write success; exit;;
    shm_rd) echo 'h e l l o _ w o r l d '; echo shm read success; exit;;
    shm_ls) printf '\n------ Shared Memory Segments --------\nkey        shmid      owner      '
        printf 'perms      bytes      nattch     status      \n'
        echo "$(cat "$memory/key") 0 root 666 1024 0"; exit;; esac;; esac"#;

/// Replays all of B's output from before the restart as A's output after it.
const WHOLE_RECORDING: &str = r#"case "$1 $2 $3" in exec*-[AB]*shm_*) call=$3-$(
        flock "$memory" sh -c 'ls -d "$1".* 2>/dev/null | wc -l; mktemp -d "$1.XXXXXX" >/dev/null' \
            sh "$memory/count-$2-$3-$([ -e "$memory/again" ] && echo again)")
    case "$2" in *-B) [ -e "$memory/again" ] || record "$call" "$@";;
        *) again "$2" && [ -e "$memory/$call.status" ] && replay "$call";; esac;; esac"#;

const LIES: &[Lie] = &[
    Lie {
        name: "a_kept_namespace_with_replayed_absence_and_a_decoy_process_is_doubted",
        pieces: &[MEMORY, NOTHING_FROM_B, HELD, DECOY],
        doubted: "cleared_by_restart",
        step: "a-read-after",
    },
    Lie {
        name: "a_kept_namespace_with_replayed_absence_and_no_process_is_doubted",
        pieces: &[MEMORY, NO_PROCESS, NOTHING_FROM_B, HELD],
        doubted: "cleared_by_restart",
        step: "a-write-control-after",
    },
    Lie {
        name: "containers_swapped_after_the_restart_are_doubted",
        pieces: &[MEMORY, SWAPPED],
        doubted: "cleared_by_restart",
        step: "a-read-after",
    },
    Lie {
        name: "an_absence_replayed_once_is_doubted",
        pieces: &[MEMORY, NOTHING_AT_FIRST, HELD, DECOY],
        doubted: "cleared_by_restart",
        step: "a-write-control-after",
    },
    Lie {
        name: "a_kept_namespace_reported_as_the_decoys_is_doubted",
        pieces: &[MEMORY, RENAMED, HELD, DECOY],
        doubted: "cleared_by_restart",
        step: "a-write-control-after",
    },
    Lie {
        name: "commands_redirected_to_a_third_container_are_doubted",
        pieces: &[MEMORY, ELSEWHERE],
        doubted: "cleared_by_restart",
        step: "a-read-after",
    },
    Lie {
        name: "commands_answered_without_being_run_are_doubted",
        pieces: &[MEMORY, CANNED],
        doubted: "containers_isolated",
        step: "a-read-fresh",
    },
    Lie {
        name: "a_replay_of_everything_the_other_container_printed_is_doubted",
        pieces: &[MEMORY, WHOLE_RECORDING, HELD, DECOY],
        doubted: "cleared_by_restart",
        step: "a-read-control-after",
    },
];

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let containers = by_driver(engines).filter(|engine| engine.has_containers());
    let trials = containers.flat_map(|engine| {
        LIES.iter().map(|lie| engine.trial(lie.name, |engine| doubted(engine, lie)))
    });
    trials.collect()
}

/// The containers that wrappers create, removed on drop. They carry the run's labels but are in no
/// ledger, so neither the run nor `cargo xtask clean` removes them.
struct Hidden<'a>(&'a Engine);

impl Hidden<'_> {
    fn names(&self) -> Result<Vec<String>, Failed> {
        of_ended_runs(self.0)
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        for name in self.names().unwrap_or_default() {
            let _ = Command::new(self.0.name).args(["rm", "--force", &name]).output();
        }
    }
}

fn doubted(engine: &Engine, lie: &Lie) -> Result<(), Failed> {
    let hidden = Hidden(engine);
    let wrappers = Wrappers::new().wrap(engine.name, &lie.pieces.join("\n"));
    let experiment = engine.experiment().with(&wrappers);
    let report = experiment.report(1)?;
    let left = hidden.names()?;
    let is_ours = |name: &String| name.ends_with("-A") || name.ends_with("-B");
    assert!(!left.iter().any(is_ours), "left: {left:?}");
    let conclusions = report["conclusions"].as_array().unwrap();
    let conclusion = conclusions.iter().find(|it| it["id"] == lie.doubted).unwrap();
    assert!(
        ["fail", "unproven"].map(|it| conclusion["verdict"] == it).contains(&true),
        "{conclusion}"
    );
    let failed = failed_steps(&report);
    assert!(failed.contains(&lie.step), "{} is not among {failed:?}", lie.step);
    let key = Key::new(experiment.key).unwrap();
    assert!(Segment::find(key).is_err(), "segment {key} is left on the host");
    Ok(())
}
