//! Runs that fail: status 2, an error that names the cause and the next step, and nothing on
//! standard output.

use std::path::{Path, PathBuf};

use shm_core::segment::RemoveOnDrop;
use shm_core::{Key, Segment};
use shm_testkit::programs::which;
use shm_testkit::{Failed, Trial};

use crate::machine::{
    Engine, Experiment, Wrappers, assert_not_carried_out, random_key, workspace, xtask,
};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let mut trials =
        vec![Trial::here("auto_selects_the_first_usable_engine_and_says_why", &[], automatic)];
    for engine in engines {
        trials.push(engine.trial("a_key_in_use_on_the_host_is_refused", key_in_use));
        if engine.has_containers() {
            trials.push(engine.trial("a_missing_program_is_named", not_installed));
            trials.push(engine.trial("an_unavailable_base_image_is_named", no_base));
            trials.push(
                engine.trial("an_engine_that_creates_no_container_is_an_error", no_container),
            );
            trials.push(engine.trial("an_engine_with_an_invalid_version_is_an_error", nonsense));
            trials.push(engine.trial("the_error_for_a_refused_start_quotes_the_engine", refused));
        } else {
            trials.push(engine.trial("disabled_user_namespaces_are_named", no_userns));
            trials.push(
                engine.trial("a_base_image_for_an_engine_without_images_is_refused", no_images),
            );
        }
        if engine.name == "podman" {
            trials.push(engine.trial("auto_passes_over_what_cannot_run_a_container", passed_over));
            trials.push(engine.trial("a_runtime_that_starts_no_container_is_named", no_runtime));
            trials.push(engine.trial("missing_programs_for_user_namespaces_are_named", no_id_maps));
        }
        if engine.name == "docker" {
            trials.push(engine.trial("an_unreachable_daemon_is_named", no_daemon));
            trials.push(engine.trial("clean_names_the_ledger_of_an_engine_that_is_gone", gone));
            trials.push(engine.trial("missing_permission_on_the_socket_is_named", no_permission));
            trials.push(engine.trial("a_daemon_that_hides_its_user_namespaces_is_an_error", hides));
            trials.push(engine.trial("a_connection_that_ssh_refuses_is_named", no_ssh));
        }
    }
    trials
}

/// Asserts status 2, an empty standard output and all `words` on standard error.
fn fails(experiment: &Experiment, words: &[&str]) -> Result<(), Failed> {
    fails_as(experiment.command(), words)
}

fn fails_as(mut command: assert_cmd::Command, words: &[&str]) -> Result<(), Failed> {
    let output = command.output()?;
    let stderr = assert_not_carried_out(&output);
    assert!(output.stdout.is_empty(), "standard output is not empty");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
    Ok(())
}

/// Creates a folder for `PATH` with only the named programs.
fn only(programs: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for program in programs {
        if let Some(real) = which(program) {
            std::os::unix::fs::symlink(real, folder.path().join(program)).unwrap();
        }
    }
    folder
}

fn not_installed(engine: &Engine) -> Result<(), Failed> {
    let path = only(&["sh"]);
    let mut command = engine.experiment().command();
    command.env("PATH", path.path());
    let missing = format!("{} is not installed", engine.name);
    fails_as(command, &[&missing, "next step:", "--engine namespaces"])
}

fn no_daemon(engine: &Engine) -> Result<(), Failed> {
    let mut command = engine.experiment().command();
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    fails_as(command, &["Is the docker daemon running?", "next step: start its daemon"])
}

/// A killed run leaves containers, and a ledger that names them.
fn gone(engine: &Engine) -> Result<(), Failed> {
    let state = tempfile::tempdir()?;
    let kills_the_run = Wrappers::new().wrap(engine.name, r#"[ "$1" = exec ] && kill -9 $PPID"#);
    let mut run = engine.experiment().with(&kills_the_run).command();
    run.env("XDG_STATE_HOME", state.path()).assert().interrupted();

    let clean = |script: &str| {
        let wrappers = Wrappers::new().wrap(engine.name, script);
        let mut clean = xtask();
        clean.arg("clean").env("XDG_STATE_HOME", state.path()).env("PATH", wrappers.path());
        clean.output()
    };
    let denied = clean("echo 'permission denied while trying to connect to it' >&2; exit 1")?;
    let denied = assert_not_carried_out(&denied);
    assert!(denied.contains("next step: join the group that may use its socket"), "{denied}");
    let output = clean("echo 'Cannot connect to it' >&2; exit 1")?;
    let stderr = assert_not_carried_out(&output);
    let ledger = format!("delete its ledger: {}/shm_experiment/", state.path().display());
    let next_step = stderr.lines().last().unwrap_or_default();
    assert!(stderr.contains("Cannot connect to it"), "{stderr}");
    assert!(next_step.starts_with("next step: ") && next_step.contains(&ledger), "{stderr}");

    xtask().arg("clean").env("XDG_STATE_HOME", state.path()).assert().success();
    assert_eq!(std::fs::read_dir(state.path().join("shm_experiment"))?.count(), 0);
    Ok(())
}

fn no_permission(engine: &Engine) -> Result<(), Failed> {
    let words = "permission denied while trying to connect to the Docker daemon socket at \
                 unix:///var/run/docker.sock";
    let wrappers = Wrappers::new().wrap("docker", &format!("echo {words} >&2; exit 1"));
    let next_step = "next step: join the group that may use its socket";
    fails(&engine.experiment().with(&wrappers), &[words, next_step])
}

fn hides(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$*" in *SecurityOptions*) echo nope >&2; exit 1;; esac"#;
    let wrappers = Wrappers::new().wrap("docker", script);
    fails(
        &engine.experiment().with(&wrappers),
        &["gives containers a user namespace", "nope", "next step:"],
    )
}

fn no_ssh(engine: &Engine) -> Result<(), Failed> {
    let words = "error during connect: command [ssh -- host docker system dial-stdio] has exited \
                 with exit status 255, stderr=host: Permission denied (publickey).";
    let wrappers = Wrappers::new().wrap("docker", &format!("echo '{words}' >&2; exit 1"));
    fails(&engine.experiment().with(&wrappers), &[words, "next step: run the ssh command"])
}

fn no_base(engine: &Engine) -> Result<(), Failed> {
    let base = "no.such.registry.invalid/image:1";
    let experiment = engine.experiment().arg("--base").arg(base);
    fails(&experiment, &["could not be built on", base, "--base scratch needs neither", "command:"])
}

fn no_container(engine: &Engine) -> Result<(), Failed> {
    let wrappers = Wrappers::new().wrap(engine.name, r#"[ "$1" = run ] && { echo id; exit 0; }"#);
    fails(&engine.experiment().with(&wrappers), &["starting ", "inspect"])
}

fn nonsense(engine: &Engine) -> Result<(), Failed> {
    let wrappers =
        Wrappers::new().wrap(engine.name, r#"[ "$1" = version ] && { echo hm; exit 0; }"#);
    fails(&engine.experiment().with(&wrappers), &["version", "unexpected output: hm"])
}

fn refused(engine: &Engine) -> Result<(), Failed> {
    let script = r#"[ "$1" = start ] && { echo "no start today" >&2; exit 1; }"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let words = ["starting", "exit status: 1", "no start today"];
    fails(&engine.experiment().with(&wrappers), &words)
}

fn key_in_use(engine: &Engine) -> Result<(), Failed> {
    let key = Key::new(random_key()).unwrap();
    let segment = RemoveOnDrop(Segment::create_new(key, 100, 0o600)?);
    let experiment = engine.experiment().key(key.raw());
    let owner = format!("segment {} of user 0", segment.0.id());
    let next_step = format!("--key {}", Key::new(key.raw() + 1).unwrap());
    fails(&experiment, &[&key.to_string(), "in use on this host", &owner, &next_step])?;
    assert!(segment.0.stat().is_ok(), "the segment was removed");
    Ok(())
}

fn no_images(engine: &Engine) -> Result<(), Failed> {
    let experiment = engine.experiment().arg("--base").arg("ubuntu:22.04");
    fails(&experiment, &["needs an engine with images", "--engine docker or podman"])
}

/// Runs as an ordinary user in a user namespace that allows no nested user namespace.
fn no_userns(engine: &Engine) -> Result<(), Failed> {
    let limit = "echo 0 > /proc/sys/user/max_user_namespaces";
    let user = "setpriv --bounding-set=-all --inh-caps=-all --no-new-privs";
    let args = engine.experiment().args().join(" ");
    let script = format!("{limit} && exec {user} {} {args}", env!("CARGO_BIN_EXE_xtask"));
    let mut command = assert_cmd::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--map-user=1000", "--keep-caps"]);
    command.args(["sh", "-c", &script]).current_dir(workspace());
    fails_as(command, &["namespaces cannot be used", "user.max_user_namespaces"])
}

fn automatic() -> Result<(), Failed> {
    let path =
        only(&["sh", "true", "unshare", "nsenter", "mount", "lsns", "cargo", "rustc", "cc", "ld"]);
    let mut command = xtask();
    command.env("PATH", path.path());
    let reasons = ["docker is not installed", "podman is not installed", "need no engine"];
    selects_namespaces(command, &reasons)
}

/// Returns the path of a podman configuration with an OCI runtime that starts no container. The file
/// stays: ledgers name it until the image is gone, and `clean` of other trials asks its podman.
fn broken_runtime(trial: &str) -> Result<PathBuf, Failed> {
    let conf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{trial}.containers.conf"));
    let settings = "[engine]\nruntime = \"broken\"\n[engine.runtimes]\nbroken = [\"/bin/false\"]\n";
    std::fs::write(&conf, settings)?;
    Ok(conf)
}

fn no_runtime(engine: &Engine) -> Result<(), Failed> {
    let mut command = engine.experiment().command();
    command.env("CONTAINERS_CONF", broken_runtime("no_runtime")?);
    fails_as(command, &["next step: remove the reason that is given above"])
}

/// The message of podman 4.3 (containers/storage pkg/unshare) for a user with ranges of ids.
fn no_id_maps(engine: &Engine) -> Result<(), Failed> {
    let message = "Error: command required for rootless mode with multiple IDs: exec: \"newuidmap\": \
                   executable file not found in $PATH";
    let wrappers = Wrappers::new().wrap("podman", &format!("echo '{message}' >&2; exit 125"));
    fails(&engine.experiment().with(&wrappers), &[message, "next step: install newuidmap"])
}

/// Docker's daemon does not answer. Podman answers, and its OCI runtime starts no container.
fn passed_over(_: &Engine) -> Result<(), Failed> {
    let conf = broken_runtime("passed_over")?;
    let broken = || {
        let mut command = xtask();
        command.env("CONTAINERS_CONF", &conf);
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        command
    };
    let reasons = ["docker: ", "; podman: podman cannot run a container: ", "need no engine"];
    selects_namespaces(broken(), &reasons)?;
    for option in [["--base", "no.such.registry.invalid/image:1"], ["--runtime", "broken"]] {
        let mut command = broken();
        command.args(["experiment", "--key", &random_key().to_string()]).args(option);
        let next_step =
            format!("next step: make one of them run containers, or omit {}", option[0]);
        fails_as(command, &["neither docker nor podman: docker: ", "; podman: ", &next_step])?;
    }
    Ok(())
}

/// Asserts that an experiment with `--engine auto` uses namespaces and names these reasons.
fn selects_namespaces(mut command: assert_cmd::Command, reasons: &[&str]) -> Result<(), Failed> {
    command.args(["experiment", "--format", "json", "--key", &random_key().to_string()]);
    let output = command.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["engine"]["name"], "namespaces", "{}", report["engine"]);
    let chosen = report["engine"]["chosen"].as_str().unwrap();
    assert!(reasons.iter().all(|reason| chosen.contains(reason)), "{chosen}");
    Ok(())
}
