//! What counts as a refusal, on engines that refuse in other words, that refuse too much, or that
//! fail; and scripts that end early.

use std::collections::BTreeSet;

use serde_json::Value;
use shm_testkit::{Failed, Trial};

use crate::machine::{Body, Engine, Wrappers, by_driver, xtask};

/// Messages of refusals, by engine and version. The last one is of no engine.
const WORDS: [&str; 15] = [
    // docker 20.10
    "docker: Error response from daemon: can't join IPC of container 1f2e: Container 1f2e is not running.",
    "docker: Error response from daemon: can't join IPC of container 1f2e: non-shareable IPC (hint: use \
     IpcMode:shareable for the donor container).",
    "docker: Error response from daemon: Conflict. The container name \"/a\" is already in use by container \"1f2e\".",
    // docker 26.1 and 28.5
    "docker: Error response from daemon: failed to join IPC namespace: container 1f2e is not running",
    "docker: Error response from daemon: failed to join IPC namespace: Container 1f2e is restarting, wait until the \
     container is running",
    "docker: Error response from daemon: failed to join IPC namespace: No such container: a",
    // podman 4.3
    "Error: joining IPC of container 1f2e is not allowed: non-shareable IPC (hint: use IpcMode:shareable for the \
     donor container)",
    "Error: container 1f2e depends on container 3d4c which is in a pod - containers not in pods cannot depend on \
     containers in pods: invalid argument",
    "Error: container 1f2e has dependent containers which must be removed before it: 3d4c: container already exists",
    "Error: creating container storage: the container name \"a\" is already in use by 1f2e. You have to remove that \
     container to be able to reuse that name: that name is already in use",
    "Error: invalid config provided: cannot set shmsize when running in the {host } IPC Namespace",
    // podman 5.4 and 5.8
    "Error: container dependency 3d4c is part of a pod, but container is not: invalid argument",
    // runc and crun, behind both
    "docker: Error response from daemon: failed to create shim task: OCI runtime create failed: sysctl \
     \"kernel.shmmax\" is not allowed in the hosts ipc namespace: unknown.",
    "Error: crun: the sysctl `kernel.shmmax` requires a new IPC namespace: OCI runtime error",
    "nope",
];

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let of_containers: [(&str, Body); 10] = [
        ("a_refusal_in_any_words_is_a_refusal", in_any_words),
        ("refused_starts_and_removals_in_unknown_words_are_refusals", in_unknown_words),
        ("an_engine_that_fails_every_command_refuses_nothing", fails_everything),
        ("a_failure_that_does_not_last_is_no_refusal", fails_once),
        ("a_refusal_that_leaves_a_running_container_is_none", runs_and_fails),
        ("a_refusal_after_the_donor_has_changed_is_none", kills_the_donor),
        ("a_refused_setting_is_no_refusal_of_the_sharing", refuses_the_setting),
        ("a_failure_that_cannot_be_checked_keeps_its_message", hides_the_container),
        ("a_refusal_against_the_prediction_differs", refuses_too_much),
        ("a_script_that_ends_early_keeps_its_answers", ends_early),
    ];
    let mut trials = Vec::new();
    for engine in by_driver(engines).filter(|engine| engine.has_containers()) {
        trials.extend(of_containers.map(|(name, body)| engine.trial(name, body)));
    }
    for engine in engines.iter().filter(|engine| !engine.has_containers()) {
        let name = "no_command_of_nsenter_lacks_a_namespace";
        trials.push(engine.trial(name, strict_nsenter));
    }
    trials
}

/// Runs a part of the matrix on an engine behind a wrapper.
fn matrix(
    engine: &Engine,
    wrappers: &Wrappers,
    only: &str,
    status: i32,
) -> Result<Vec<Value>, Failed> {
    let mut matrix = xtask();
    matrix.args(["matrix", "--engine", engine.name, "--format", "json", "--only", only]);
    let output = matrix.env("PATH", engine.experiment().with(wrappers).path()).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{:?}: {stderr}", output.status))?;
    let cells = report["engines"][0]["cells"].as_array().ok_or("no cells")?.clone();
    assert_eq!(output.status.code(), Some(status), "{stderr}\n{cells:#?}");
    Ok(cells)
}

/// Returns the cells of an observer.
fn of<'a>(cells: &'a [Value], observer: &str) -> Vec<&'a Value> {
    cells.iter().filter(|cell| cell["observer"] == observer).collect()
}

#[track_caller]
fn assert_all(cells: &[&Value], verdict: &str, reason: &str) {
    assert!(!cells.is_empty(), "no cells");
    for cell in cells {
        let why = cell["reason"].as_str().unwrap_or_default();
        assert!(cell["verdict"] == verdict && why.contains(reason), "{cell:#}");
    }
}

/// A wrapper that replaces the words of every failed `run` by a line of a file, each time the next.
fn other_words(engine: &Engine, words: &[&str]) -> Result<Wrappers, Failed> {
    let script = r#"memory=${0%/*}
    case "$1" in run | start | restart | rm)
        "$real" "$@" 2>"$memory/$$.err" && exit; status=$?
        number=$(flock "$memory" sh -c 'echo >>"$0/count"; wc -l <"$0/count"' "$memory")
        sed -n "$((number % COUNT + 1))p" "$memory/words" >&2; exit $status;; esac"#;
    let script = script.replace("COUNT", &words.len().to_string());
    let wrappers = Wrappers::new().wrap(engine.name, &script);
    std::fs::write(wrappers.path().join("words"), words.join("\n") + "\n")?;
    Ok(wrappers)
}

/// A private container is joined in thirteen scripts. Each refusal has two messages: that of the
/// command and that of its repetition.
fn in_any_words(engine: &Engine) -> Result<(), Failed> {
    let wrappers = other_words(engine, &WORDS)?;
    let cells = matrix(engine, &wrappers, "sysv/private", 0)?;
    let refused = of(&cells, "joiner");
    assert_all(&refused, "refused", "");
    let reasons: BTreeSet<_> = refused.iter().map(|it| it["reason"].as_str().unwrap()).collect();
    assert!(reasons.iter().all(|it| WORDS.contains(it)), "{reasons:#?}");
    assert!(reasons.len() > 8, "{reasons:#?}");
    Ok(())
}

/// On Docker, a joiner cannot start while its donor is stopped. Podman does not remove a container
/// that others have joined, so its name stays in use.
fn in_unknown_words(engine: &Engine) -> Result<(), Failed> {
    let (only, observer) = match engine.name {
        "docker" => ("sysv/container/donor-stopped", "own"),
        _ => ("sysv/shareable/recreate", "own"),
    };
    let cells = matrix(engine, &other_words(engine, &["nope"])?, only, 0)?;
    match engine.name {
        "docker" => assert_all(&of(&cells, observer), "refused", "nope"),
        _ => assert_all(&of(&cells, observer), "agrees", ""),
    }
    Ok(())
}

/// The refusal of the joiner is predicted, but the control of the refusal fails too.
fn fails_everything(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $*" in run*-joiner*) echo nope >&2; exit 125;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "sysv/private/pause", 1)?;
    assert_all(&cells.iter().collect::<Vec<_>>(), "unclear", "so did its control");
    assert!(cells.iter().all(|cell| cell["reason"].as_str().unwrap().contains("nope")));

    let script = r#"case "$1" in run | create) echo nope >&2; exit 125;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let output = engine.experiment().with(&wrappers).command().output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for words in ["so did its control", "nope", "next step:"] {
        assert!(stderr.contains(words), "no {words:?} in: {stderr}");
    }
    Ok(())
}

/// Each first attempt to run the joiner fails in the words of a refusal. The first script ends
/// early, and its second run is as predicted.
fn fails_once(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $*" in run*-joiner\ *) mkdir "${0%/*}/failed" 2>/dev/null && {
        echo non-shareable IPC >&2; exit 125; };; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "sysv/shareable/pause", 0)?;
    assert_all(&cells.iter().collect::<Vec<_>>(), "agrees", "");

    let script = script.replace("mkdir \"${0%/*}/failed\" 2>/dev/null", "mkdir \"${0%/*}/$4\"");
    let wrappers = Wrappers::new().wrap(engine.name, &script);
    let cells = matrix(engine, &wrappers, "sysv/shareable/pause", 1)?;
    assert_all(&of(&cells, "joiner"), "unclear", "but not when it was repeated");
    Ok(())
}

/// The client reports the refusal that is predicted, but the container runs.
fn runs_and_fails(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $*" in run*-joiner\ *)
        set -- $(printf '%s ' "$@" | sed 's/--ipc container:[^ ]*//')
        "$real" "$@" >/dev/null; echo non-shareable IPC >&2; exit 125;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "sysv/private/pause", 1)?;
    assert_all(&of(&cells, "joiner"), "unclear", "is not as before: running");
    Ok(())
}

/// The donor dies while the client reports the refusal that is predicted.
fn kills_the_donor(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $*" in run*-joiner\ *)
        "$real" kill "$(echo "$*" | sed 's/.*--ipc container:\([^ ]*\).*/\1/')" >/dev/null
        echo nope >&2; exit 125;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "sysv/private/pause", 1)?;
    assert_all(&of(&cells, "joiner"), "unclear", "is not as before: exited");
    Ok(())
}

/// The engine rejects the kernel parameter of every container, also where the sharing allows it.
fn refuses_the_setting(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $*" in run*--sysctl*) echo nope >&2; exit 125;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "sysv/host/rmid-forced", 1)?;
    assert_all(&cells.iter().collect::<Vec<_>>(), "unclear", "so did its control");
    Ok(())
}

/// The engine fails the first listing with which a refusal is checked, and its repetition.
fn hides_the_container(engine: &Engine) -> Result<(), Failed> {
    let script = r#"once=${0%/*}/once twice=${0%/*}/twice
    case "$1 $*" in
        run*-joiner\ *) touch "$once" "$twice"; echo nope >&2; exit 125;;
        ps*) { rm "$once" || rm "$twice"; } 2>/dev/null && { echo hidden >&2; exit 1; };; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "sysv/private/pause", 1)?;
    for words in ["nope", "could not be checked whether it was refused"] {
        assert_all(&of(&cells, "joiner"), "unclear", words);
    }
    Ok(())
}

/// A refusal that the model does not predict: the cells of the refused container differ, and the
/// report quotes the engine. The script ends, so the others are unclear.
fn refuses_too_much(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $*" in run*--ipc\ container*) echo nope >&2; exit 125;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "sysv/shareable/pause", 1)?;
    assert_all(&of(&cells, "joiner"), "differs", "predicted running, observed refused: nope");
    for observer in ["own", "other", "host"] {
        assert_all(&of(&cells, observer), "unclear", "not run: starting joiner");
    }
    Ok(())
}

/// The joiner is killed when it reads, after the writer's container and the other have answered.
fn ends_early(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1 $2 $3" in exec*-joiner*shm_rd)
        "$real" kill "$2" >/dev/null; echo killed >&2; exit 1;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let cells = matrix(engine, &wrappers, "*/shareable/pause", 1)?;
    assert_all(&of(&cells, "own"), "agrees", "");
    let file = |cell: &&Value| cell["mechanism"] == "file";
    let (files, others): (Vec<_>, Vec<_>) = of(&cells, "other").into_iter().partition(file);
    assert_all(&files, "agrees", "");
    assert_all(&others, "unclear", "its control, step other-");
    for observer in ["joiner", "host"] {
        assert_all(&of(&cells, observer), "unclear", "not run: reading in joiner");
    }
    Ok(())
}

/// The `nsenter` of util-linux 2.41 and later refuses to enter nothing.
fn strict_nsenter(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case " $* " in *" --ipc "* | *" --mount "* | *" --user "*) ;;
        *) echo "nsenter: no namespace specified" >&2; exit 1;; esac"#;
    let wrappers = Wrappers::new().wrap("nsenter", script);
    let cells = matrix(engine, &wrappers, "*/host", 0)?;
    let seen = cells.iter().filter(|cell| cell["observed"][0] == "seen").count();
    assert!(seen > 100, "{seen} cells are seen");
    Ok(())
}
