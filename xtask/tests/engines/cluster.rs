//! The experiment on the cluster that kubectl is configured for, with an image that its nodes have:
//! `SHM_KUBERNETES_IMAGE`.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Output};
use std::sync::RwLock;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use serde_json::Value;
use shm_testkit::{Failed, Need, Trial};

use crate::machine::{random_key, xtask};

/// A lock on the nodes: trials hold it for reading, and for writing if they change nodes.
pub(crate) static NODES: RwLock<()> = RwLock::new(());

/// A cluster and an image for it.
pub(crate) const CLUSTER: Need = Need::engine(
    "kubernetes",
    "test -n \"$SHM_KUBERNETES_IMAGE\" || { echo SHM_KUBERNETES_IMAGE names no image >&2; exit 1; }
    kubectl version --request-timeout 10s",
);

pub(crate) fn trial(name: &str, body: fn() -> Result<(), Failed>) -> Trial {
    Trial::here(format!("kubernetes::{name}"), &[CLUSTER], move || {
        let _beside_others = NODES.read();
        body()
    })
}

/// Creates a trial that changes nodes and therefore runs alone.
pub(crate) fn alone(name: &str, needs: &[Need], body: fn() -> Result<(), Failed>) -> Trial {
    let needs = [&[CLUSTER][..], needs].concat();
    Trial::here(format!("kubernetes::{name}"), &needs, move || {
        let _alone = NODES.write();
        body()
    })
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_experiment_distinguishes_a_container_restart_from_a_new_pod", as_predicted),
        alone("every_node_has_a_row_and_a_cordoned_node_is_skipped", &[], every_node),
        trial("selecting_a_missing_node_is_an_error", no_row),
        trial("a_given_namespace_is_used_and_kept", given_namespace),
        trial("the_error_for_a_missing_image_names_it_soon", no_image),
        trial("the_error_for_a_missing_node_names_it", no_node),
        trial("the_error_for_a_missing_context_names_it", no_context),
    ]
}

pub(crate) fn image() -> String {
    std::env::var("SHM_KUBERNETES_IMAGE").unwrap_or_default()
}

pub(crate) fn kubectl(args: &[&str]) -> Output {
    let output = Command::new("kubectl").args(args).output();
    output.unwrap_or_else(|error| Output {
        status: ExitStatus::from_raw(1 << 8),
        stdout: vec![],
        stderr: error.to_string().into_bytes(),
    })
}

/// Returns the namespaces and pods of runs whose ledger is below a folder, as `namespace/name`.
pub(crate) fn objects(folder: &Path) -> Vec<String> {
    let get = ["get", "namespaces,pods", "-A", "-l", "shm.experiment.run", "-o", "json"];
    let list: Value = serde_json::from_slice(&kubectl(&get).stdout).unwrap_or_default();
    let is_ours = |metadata: &&Value| {
        let ledger = metadata["annotations"]["shm.experiment.ledger"].as_str();
        ledger.is_some_and(|ledger| Path::new(ledger).starts_with(folder))
    };
    let items = list["items"].as_array().into_iter().flatten().map(|item| &item["metadata"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |it: &Value| format!("{}/{}", text(&it["namespace"]), text(&it["name"]));
    items.filter(is_ours).map(name).collect()
}

/// Returns the start of an experiment's command line. The nodes of a test cluster can share the
/// namespace of this machine, in which the controls of the host write, so each run has its own key.
pub(crate) fn experiment() -> Vec<String> {
    let key = random_key().to_string();
    ["experiment", "--engine", "kubernetes", "--key", &key].map(str::to_owned).to_vec()
}

pub(crate) fn run(args: &[&str]) -> Result<(Option<i32>, String, String), Failed> {
    let output = xtask().args(experiment()).args(args).output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

fn as_predicted() -> Result<(), Failed> {
    let (status, stdout, stderr) = run(&["--image", &image(), "--format", "json"])?;
    assert_eq!(status, Some(0), "{stderr}\n{stdout}");
    let report: Value = serde_json::from_str(&stdout)?;
    let holds = |id: &str| {
        let conclusions = report["conclusions"].as_array()?.iter();
        let found = conclusions.into_iter().find(|it| it["id"] == id)?;
        (found["verdict"] == "pass").then_some(found["observed"].as_bool())?
    };
    for (id, expected) in [
        ("containers_isolated", true),
        ("host_isolated", true),
        ("cleared_by_container_restart", false),
        ("cleared_by_pod_recreation", true),
    ] {
        assert_eq!(holds(id), Some(expected), "{id}: {stdout}");
    }
    Ok(())
}

fn every_node() -> Result<(), Failed> {
    let listed = kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
    let names = String::from_utf8(listed.stdout)?;
    let names: Vec<_> = names.split(' ').collect();
    let cordoned = names.last().filter(|_| names.len() > 1);
    if let Some(name) = cordoned {
        assert!(kubectl(&["cordon", name]).status.success(), "cordon {name}");
    }
    let done = run(&["--image", &image(), "--nodes", "all", "--format", "json"]);
    if let Some(name) = cordoned {
        assert!(kubectl(&["uncordon", name]).status.success(), "uncordon {name}");
    }
    let (status, stdout, stderr) = done?;
    assert_eq!(status, Some(0), "{stderr}\n{stdout}");
    let report: Value = serde_json::from_str(&stdout)?;
    let rows = report["nodes"].as_array().ok_or("no rows")?;
    assert_eq!(rows.len(), names.len(), "{stdout}");
    for row in rows {
        let is_cordoned = cordoned.is_some_and(|name| row["name"] == **name);
        let (verdict, reason) =
            if is_cordoned { ("skip", Value::from("cordoned")) } else { ("pass", Value::Null) };
        assert!(row["verdict"] == verdict && row["reason"] == reason, "{row}");
    }
    Ok(())
}

fn no_row() -> Result<(), Failed> {
    refused(&["--image", &image(), "--nodes", "no-such-node"], "there is no node no-such-node")
}

fn given_namespace() -> Result<(), Failed> {
    let name = format!("shm-test-{}", std::process::id());
    assert!(kubectl(&["create", "namespace", &name]).status.success(), "{name}");
    let done = run(&["--image", &image(), "--namespace", &name]);
    let pods = kubectl(&["get", "pods", "--namespace", &name, "-o", "name"]);
    let deleted = kubectl(&["delete", "namespace", &name, "--wait=false"]);
    let (status, stdout, stderr) = done?;
    assert_eq!(status, Some(0), "{stderr}\n{stdout}");
    assert!(pods.stdout.is_empty(), "{}", String::from_utf8_lossy(&pods.stdout));
    assert!(deleted.status.success(), "the namespace was already deleted");
    Ok(())
}

/// Asserts that a run ends within a minute with an error that contains `why`, and without a report.
pub(crate) fn refused(args: &[&str], why: &str) -> Result<(), Failed> {
    let started = Instant::now();
    let (status, stdout, stderr) = run(args)?;
    assert!(status == Some(2) && stdout.is_empty(), "{status:?} {stderr}\n{stdout}");
    assert!(stderr.contains(why), "{stderr}");
    assert!(started.elapsed() < Duration::from_mins(1), "the run took longer than a minute");
    Ok(())
}

fn no_image() -> Result<(), Failed> {
    refused(&["--image", "localhost/no-such-image:1"], "ImagePull")
}

fn no_node() -> Result<(), Failed> {
    refused(&["--image", &image(), "--node", "no-such-node"], "no-such-node")
}

fn no_context() -> Result<(), Failed> {
    refused(&["--image", &image(), "--context", "no-such-context"], "no-such-context")
}
