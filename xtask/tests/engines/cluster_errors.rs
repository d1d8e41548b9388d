//! Runs that a cluster refuses to start or finish: no cluster, a missing permission, a quota, a
//! webhook, no node, a lost node. Each ends with an error that names the cause, and leaves nothing.

use std::time::{Duration, Instant};
use std::{fs, thread};

use assert_cmd::Command;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use shm_testkit::{Failed, Need, Trial};
use tempfile::TempDir;

use crate::cluster::{CLUSTER, NODES, alone, experiment, image, kubectl, refused, run, trial};
use crate::interrupted::Running;
use crate::machine::xtask;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_missing_kubectl_is_named", no_kubectl),
        trial("an_unreachable_cluster_is_named", no_cluster),
        trial("an_expired_token_is_reported", expired_token),
        trial("without_permission_to_create_namespaces_a_given_one_works", no_permission),
        trial("the_error_for_a_quota_quotes_the_cluster", quota),
        here("the_error_for_a_denying_webhook_quotes_it", denied),
        here("without_host_ipc_the_steps_on_the_node_are_skipped", no_host_ipc),
        alone("an_unschedulable_pod_is_reported_soon", &[], pending),
        alone("a_node_that_is_lost_during_a_run_ends_the_run", &[HERE], node_lost),
    ]
}

/// A cluster on this machine.
const HERE: Need = Need::engine_found_by("kubernetes", || {
    // While another trial restarts the kubelet, it would not be found.
    let _beside_others = NODES.read();
    let shown = kubectl(&["config", "view", "--minify", "-o", "jsonpath={..server}"]);
    let server = String::from_utf8_lossy(&shown.stdout).into_owned();
    let is_here = server.starts_with("https://127.0.0.1") && kubelet("node2").is_some();
    if is_here { Ok(()) } else { Err(format!("the cluster at {server} is not of this machine")) }
});

/// Creates a trial that needs a cluster on this machine.
fn here(name: &str, body: fn() -> Result<(), Failed>) -> Trial {
    Trial::here(format!("kubernetes::{name}"), &[CLUSTER, HERE], move || {
        let _beside_others = NODES.read();
        body()
    })
}

/// A namespace for one test, deleted on drop.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn new(what: &str) -> Self {
        let name = format!("shm-test-{what}-{}", std::process::id());
        let made = kubectl(&["create", "namespace", &name]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self(name)
    }

    /// Returns the names of the pods in the namespace.
    pub(crate) fn pods(&self) -> Vec<String> {
        let listed = kubectl(&["get", "pods", "-n", &self.0, "-o", "name"]);
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
    }

    /// Returns whether the namespace exists and is not being deleted.
    fn is_there(&self) -> bool {
        let phase = kubectl(&["get", "namespace", &self.0, "-o", "jsonpath={.status.phase}"]);
        phase.stdout == b"Active"
    }

    pub(crate) fn apply(&self, object: &Value) -> Result<(), Failed> {
        let mut apply = Command::new("kubectl");
        apply.args(["apply", "-n", &self.0, "-f", "-"]).write_stdin(object.to_string());
        let applied = apply.output()?;
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        kubectl(&["delete", "namespace", &self.0, "--wait=false"]);
    }
}

/// Writes a copy of the current kubectl configuration with another server or user.
pub(crate) fn configuration(
    server: Option<&str>,
    user: Option<Value>,
) -> Result<(TempDir, String), Failed> {
    let shown = kubectl(&["config", "view", "--minify", "--raw", "--flatten", "-o", "json"]);
    let mut config: Value = serde_json::from_slice(&shown.stdout)?;
    if let Some(server) = server {
        config["clusters"][0]["cluster"]["server"] = json!(server);
    }
    if let Some(user) = user {
        config["users"][0]["user"] = user;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.json");
    fs::write(&path, config.to_string())?;
    Ok((folder, path.to_string_lossy().into_owned()))
}

fn no_kubectl() -> Result<(), Failed> {
    let empty = tempfile::tempdir()?;
    let mut experiment = xtask();
    experiment.args(["experiment", "--engine", "kubernetes", "--image", &image()]);
    let output = experiment.env("PATH", empty.path()).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{:?}", output.status);
    assert!(
        stderr.contains("kubectl is not installed") && stderr.contains("next step"),
        "{stderr}"
    );
    Ok(())
}

fn no_cluster() -> Result<(), Failed> {
    // Nothing listens on this port.
    let (_folder, path) = configuration(Some("https://127.0.0.1:9"), None)?;
    refused(&["--image", &image(), "--kubeconfig", &path], "127.0.0.1:9")
}

fn expired_token() -> Result<(), Failed> {
    let (_folder, path) = configuration(None, Some(json!({ "token": "long-gone" })))?;
    refused(&["--image", &image(), "--kubeconfig", &path], "its token is missing or has expired")
}

/// Creates an account that may use these resources in one namespace and cannot create namespaces;
/// returns its credentials.
pub(crate) fn create_account(namespace: &Namespace, resources: &[&str]) -> Result<Value, Failed> {
    namespace.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "worker" } },
        { "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
          "metadata": { "name": "worker-token",
                        "annotations": { "kubernetes.io/service-account.name": "worker" } } },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "work" },
          "rules": [{ "apiGroups": ["", "apps", "batch"], "resources": resources, "verbs": ["*"] }] },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
          "metadata": { "name": "work" },
          "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "work" },
          "subjects": [{ "kind": "ServiceAccount", "name": "worker", "namespace": namespace.0 }] },
    ]}))?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        let path = "go-template={{if .data.token}}{{.data.token | base64decode}}{{end}}";
        let token = kubectl(&["get", "secret", "worker-token", "-n", &namespace.0, "-o", path]);
        if token.status.success() && !token.stdout.is_empty() {
            return Ok(json!({ "token": String::from_utf8(token.stdout)? }));
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err("the account got no token".into())
}

fn no_permission() -> Result<(), Failed> {
    let namespace = Namespace::new("right");
    // All permissions that the experiment needs.
    let user = create_account(&namespace, &["pods", "pods/exec", "events"])?;
    let (_folder, path) = configuration(None, Some(user))?;
    let args = ["--image", &image(), "--kubeconfig", &path];
    refused(&args, "use an existing one, --namespace NAME")?;
    let (status, stdout, stderr) = run(&[&args[..], &["--namespace", &namespace.0]].concat())?;
    assert_eq!(status, Some(0), "{stderr}\n{stdout}");
    assert!(namespace.is_there(), "the run deleted the namespace");
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
}

fn quota() -> Result<(), Failed> {
    let namespace = Namespace::new("quota");
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "one-pod" },
        "spec": { "hard": { "pods": "1" } }
    }))?;
    refused(&["--image", &image(), "--namespace", &namespace.0], "exceeded quota: one-pod")?;
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
}

/// An admission webhook on this machine for the pods of one namespace.
struct Webhook {
    name: String,
    server: Running,
    _folder: TempDir,
}

impl Webhook {
    /// Starts a webhook that denies all pods, or with `which` = `hostIPC` only those in the node's
    /// IPC namespace, with `message`.
    fn new(namespace: &Namespace, which: &str, message: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let [certificate, key, port] = ["crt", "key", "port"].map(|file| folder.path().join(file));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=hook",
        ]);
        openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]).arg(&key);
        openssl.arg("-out").arg(&certificate).assert().success();
        let server =
            ["-c", WEBHOOK, &folder.path().to_string_lossy(), which, message].map(str::to_owned);
        let server = Running::start_program("python3", server.into(), &std::env::var("PATH")?)?;
        let started = Instant::now();
        while !port.exists() && started.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(50));
        }
        let url = format!("https://127.0.0.1:{}/", fs::read_to_string(&port)?);
        let mut base64 = Command::new("base64");
        let bundle = base64.args(["-w", "0"]).arg(&certificate).output()?;
        let label = ["label", "namespace", &namespace.0, &format!("shm-test={}", namespace.0)];
        assert!(kubectl(&label).status.success(), "no label");
        namespace.apply(&json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": namespace.0 },
            "webhooks": [{
                "name": "hook.example.org",
                "clientConfig": { "url": url, "caBundle": String::from_utf8(bundle.stdout)? },
                "rules": [{ "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                            "resources": ["pods"] }],
                "namespaceSelector": { "matchLabels": { "shm-test": namespace.0 } },
                "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"]
            }]
        }))?;
        // The API server needs a moment to load the configuration.
        thread::sleep(Duration::from_secs(2));
        Ok(Self { name: namespace.0.clone(), server, _folder: folder })
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        kubectl(&["delete", "mutatingwebhookconfiguration", &self.name]);
        let _ = self.server.signal(Signal::KILL);
    }
}

/// The server of the webhook: writes its port to a file and answers until it is killed.
const WEBHOOK: &str = r#"
import http.server, json, ssl, sys
folder, which, message = sys.argv[1:]
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sees_node = review["request"]["object"]["spec"].get("hostIPC", False)
        answer = {"uid": review["request"]["uid"], "allowed": which == "hostIPC" and not sees_node,
                  "status": {"message": message}}
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/crt", folder + "/key")
server.socket = context.wrap_socket(server.socket, server_side=True)
open(folder + "/port", "w").write(str(server.server_port))
server.serve_forever()
"#;

fn denied() -> Result<(), Failed> {
    let namespace = Namespace::new("denied");
    let _webhook = Webhook::new(&namespace, "all", "not on a Monday")?;
    refused(&["--image", &image(), "--namespace", &namespace.0], "not on a Monday")
}

/// The webhook imitates Pod Security's level `baseline`, which clusters have since 1.25.
fn no_host_ipc() -> Result<(), Failed> {
    let namespace = Namespace::new("baseline");
    let words = "violates PodSecurity \"baseline:latest\": host namespaces (hostIPC=true)";
    let _webhook = Webhook::new(&namespace, "hostIPC", words)?;
    let args = ["--image", &image(), "--namespace", &namespace.0, "--format", "json"];
    let (status, stdout, stderr) = run(&args)?;
    assert_eq!(status, Some(0), "{stderr}\n{stdout}");
    let report: Value = serde_json::from_str(&stdout)?;
    let steps = report["steps"].as_array().ok_or("no steps")?.iter();
    let skipped: Vec<_> = steps.filter(|step| step["verdict"] == "skip").collect();
    let has_reason = |step: &&Value| step["reason"].as_str().is_some_and(|it| it.contains(words));
    let of_host = skipped.iter().filter(|step| has_reason(step)).count();
    // The list, the read, and the two steps of their control.
    assert_eq!(of_host, 4, "{skipped:?}");
    let conclusions = report["conclusions"].as_array().ok_or("no conclusions")?.iter();
    let verdicts: Vec<_> = conclusions.filter_map(|it| it["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["pass", "skip", "pass", "pass"]);
    Ok(())
}

/// Cordoned nodes, uncordoned on drop.
struct Cordoned(Vec<String>);

impl Cordoned {
    fn all() -> Result<Self, Failed> {
        let listed = kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
        let names = String::from_utf8(listed.stdout)?.split(' ').map(str::to_owned).collect();
        let cordoned = Self(names);
        for name in &cordoned.0 {
            assert!(kubectl(&["cordon", name]).status.success(), "cordon {name}");
        }
        Ok(cordoned)
    }
}

impl Drop for Cordoned {
    fn drop(&mut self) {
        for name in &self.0 {
            kubectl(&["uncordon", name]);
        }
    }
}

fn pending() -> Result<(), Failed> {
    let namespace = Namespace::new("pending");
    let _cordoned = Cordoned::all()?;
    refused(&["--image", &image(), "--namespace", &namespace.0], "nodes are available")?;
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
}

/// Waits for a pod in a namespace whose name has this ending, and returns the name.
pub(crate) fn first_pod(namespace: &Namespace, ending: &str) -> Result<String, Failed> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(40) {
        if let Some(pod) = namespace.pods().into_iter().find(|pod| pod.ends_with(ending)) {
            return Ok(pod);
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err("no pod appeared".into())
}

pub(crate) fn start_in(namespace: &Namespace, more: &[&str]) -> Result<Running, Failed> {
    let image = image();
    let mut args = experiment();
    let more = [&["--image", &image, "--namespace", &namespace.0][..], more].concat();
    args.extend(more.into_iter().map(str::to_owned));
    Running::start(args, &std::env::var("PATH")?)
}

/// Returns the process id of a node's kubelet, if the cluster is on this machine.
fn kubelet(node: &str) -> Option<Pid> {
    let text = fs::read_to_string(format!("/var/lib/shm-kube/{node}-kubelet.pid")).ok()?;
    Pid::from_raw(text.split_whitespace().next()?.parse().ok()?)
}

/// A stopped process, continued on drop.
struct Stopped(Pid);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

fn node_lost() -> Result<(), Failed> {
    let namespace = Namespace::new("lost");
    let kubelet = kubelet("node2").ok_or("node2 has no kubelet")?;
    let running = start_in(&namespace, &["--node", "node2"])?;
    first_pod(&namespace, "-pod-b")?;
    kill_process(kubelet, Signal::STOP)?;
    let stopped = Stopped(kubelet);
    let ended = running.output(Duration::from_mins(4)).cloned();
    drop(stopped);
    let ended = ended?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{:?} {stderr}", ended.status);
    assert!(
        stderr.contains("did not finish within") || stderr.contains("did not become ready"),
        "{stderr}"
    );
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
}
