//! Engines that lie: the run must fail and name the conclusions that fail.

use serde_json::Value;
use shm_core::{Key, Segment};
use shm_testkit::{Failed, Trial};

use crate::machine::{Engine, Wrappers, broken, by_driver, failed_steps};

const ALL: &[&str] = &["containers_isolated", "host_isolated", "cleared_by_restart"];

struct Lie {
    name: &'static str,
    script: &'static str,
    /// The conclusions that must fail.
    breaks: &'static [&'static str],
    /// A step that must fail.
    step: &'static str,
}

/// In each script `$1` is the engine's command.
const LIES: &[Lie] = &[
    Lie {
        name: "containers_in_the_hosts_namespace_break_every_conclusion",
        script: r#"[ "$1" = run ] && { shift; set -- run --ipc=host "$@"; }"#,
        breaks: ALL,
        step: "start-a",
    },
    Lie {
        name: "a_stop_that_does_nothing_breaks_the_third_conclusion",
        script: r#"[ "$1" = stop ] && { echo "$2"; exit 0; }"#,
        breaks: &["cleared_by_restart"],
        step: "stop-a",
    },
    Lie {
        name: "a_container_that_is_paused_instead_of_stopped_is_detected",
        script: r#"case "$1" in stop) set -- pause "$2";; start) set -- unpause "$2";; esac"#,
        breaks: &["cleared_by_restart"],
        step: "start-b-again",
    },
    Lie {
        name: "a_stop_that_only_renames_the_container_is_detected",
        script: r#"memory=${0%/*}
        case "$1 $4" in run*-A) printf '%s\n' "$@" >"$memory/run";; esac
        case "$1 $2" in
            stop*-A) "$real" rename "$2" "$2-old" || exit; touch "$memory/gone"; echo "$2"; exit;;
            start*-A) "$real" rm --force "$2-old" >/dev/null; rm "$memory/gone"
                IFS='
'; set -- $(cat "$memory/run");; esac
        case "$1 $4" in inspect*-A) [ -e "$memory/gone" ] && {
            echo "exited 0 0000000000000000000000000000000000000000000000000000000000000000 0 false"
            exit; };; esac"#,
        // The later readings are as predicted, and the run fails all the same.
        breaks: &[],
        step: "stop-a",
    },
    Lie {
        name: "containers_that_share_a_namespace_break_the_first_conclusion",
        script: r#"case "$1 $*" in
            run*-A*) shift; set -- run --ipc=shareable "$@";;
            run*-B*) name=$4; shift; set -- run --ipc=container:${name%-B}-A "$@"
                until "$real" inspect --format '{{.State.Status}}' ${name%-B}-A | grep -q running
                do sleep 0.1; done 2>&1;;
            start*-B) sleep 1;;
        esac"#,
        breaks: &["containers_isolated"],
        step: "start-b",
    },
    Lie {
        name: "commands_redirected_to_the_other_container_break_the_first_conclusion",
        script: r#"[ "$1" = exec ] && { name=$2; shift 2; set -- exec "${name%-B}-A" "$@"; }
        case "$2" in *-A-A) name=$2; shift 2; set -- exec "${name%-A}" "$@";; esac"#,
        breaks: &["containers_isolated"],
        step: "b-read-before",
    },
    Lie {
        name: "a_right_answer_with_a_wrong_exit_status_is_rejected",
        script: r#"case "$*" in exec*shm_rd*) "$real" "$@"; exit 3;; esac"#,
        // Without a proven segment in A, an empty host proves nothing.
        breaks: ALL,
        step: "a-read",
    },
    Lie {
        name: "commands_that_run_on_the_host_break_every_conclusion_and_leave_nothing",
        script: concat!(
            r#"[ "$1" = exec ] && { tool=$3; shift 3; exec "#,
            env!("CARGO_MANIFEST_DIR"),
            r#"/../dist/"$tool" "$@"; }"#
        ),
        breaks: ALL,
        step: "a-write-fresh",
    },
    Lie {
        name: "a_container_missing_from_the_list_is_detected",
        script: r#"[ "$1 $2" = "ps --filter" ] && { "$real" "$@" | grep -v -e -B; exit 0; }"#,
        breaks: &[],
        step: "ps-before",
    },
];

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let containers = by_driver(engines).filter(|engine| engine.has_containers());
    let mut trials: Vec<_> = containers
        .flat_map(|engine| LIES.iter().map(|lie| engine.trial(lie.name, |it| detected(it, lie))))
        .collect();
    for engine in engines.iter().filter(|engine| !engine.has_containers()) {
        let name = "an_unshare_without_a_new_namespace_breaks_every_conclusion";
        trials.push(engine.trial(name, sharing_unshare));
    }
    trials
}

fn detected(engine: &Engine, lie: &Lie) -> Result<(), Failed> {
    let wrappers = Wrappers::new().wrap(engine.name, lie.script);
    check(&engine.experiment().with(&wrappers).report(1)?, lie.breaks, lie.step);
    let experiment = engine.experiment().with(&wrappers);
    let output = experiment.command().output()?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(1), "{:?}\n{text}", output.status);
    for conclusion in lie.breaks {
        assert!(text.contains(&format!("FAIL  {conclusion}: ")), "{text}");
    }
    assert!(text.contains("FAIL"), "{text}");
    let key = Key::new(experiment.key).unwrap();
    assert!(Segment::find(key).is_err(), "segment {key} is left on the host");
    Ok(())
}

fn sharing_unshare(engine: &Engine) -> Result<(), Failed> {
    let script = r#"[ "$1" = --ipc ] && shift"#;
    let wrappers = Wrappers::new().wrap("unshare", script);
    let experiment = engine.experiment().with(&wrappers);
    check(&experiment.report(1)?, ALL, "start-a");
    let key = Key::new(experiment.key).unwrap();
    assert!(Segment::find(key).is_err(), "segment {key} is left on the host");
    Ok(())
}

#[track_caller]
fn check(report: &Value, breaks: &[&str], step: &str) {
    assert_eq!(report["verdict"], "fail");
    assert_eq!(broken(report), breaks);
    let failed = failed_steps(report);
    assert!(failed.contains(&step), "{step} is not among {failed:?}");
}
