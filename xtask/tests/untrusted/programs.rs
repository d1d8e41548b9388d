//! Text from engines, kubectl and other users of the machine.

use std::fs;

use clap::ValueEnum;
use serde_json::json;
use xtask::process::volume::PREFIX;
use xtask::report::Format;

use crate::fakes::{Fakes, printed};
use crate::{HOSTILE, SHOWN, assert_shown, assert_tame};

#[test]
fn the_version_of_an_engine_is_escaped() {
    let version = json!({ "Client": { "Version": HOSTILE }, "Server": { "Version": HOSTILE } });
    for (message, status) in [(HOSTILE, 1), (HOSTILE, 0), (&*version.to_string(), 0)] {
        for engine in ["docker", "podman"] {
            let fakes = Fakes::new();
            let print = fakes.print("message", message);
            // Every command after `version` fails with the same text.
            let script =
                format!("[ $1 = version ] && {{ {print}; exit {status}; }}; {print} >&2; exit 1");
            let fakes = fakes.program(engine, &script);
            let [stdout, stderr] = printed(fakes.run(&["experiment", "--engine", engine]), 2);
            assert_eq!(stdout, "");
            if message == HOSTILE {
                assert_shown(&stderr);
            } else {
                assert_tame(&stderr);
            }
        }
    }
}

/// Returns a fake cluster that accepts every command and reports hostile text.
fn cluster(node: &str) -> Fakes {
    let fakes = Fakes::new();
    let version = json!({ "serverVersion": { "gitVersion": HOSTILE } }).to_string();
    let ready = json!({ "type": "Ready", "status": "False", "reason": HOSTILE });
    let node = json!({
        "metadata": { "name": node },
        "status": {
            "conditions": [ready],
            "nodeInfo": { "containerRuntimeVersion": HOSTILE, "kernelVersion": HOSTILE }
        }
    });
    let nodes = json!({ "items": [node] }).to_string();
    let (version, nodes, node) = (
        fakes.print("version", &version),
        fakes.print("nodes", &nodes),
        fakes.print("node", &node.to_string()),
    );
    let script = format!(
        "case \"$*\" in *version*) {version};; *get*nodes) {nodes};; *get*node*) {node};; \
         *get*pods*) echo '{{\"items\":[]}}';; \
         *create*) /bin/cat >/dev/null;; esac"
    );
    fakes.program("kubectl", &script)
}

const NODES: [&str; 7] =
    ["experiment", "--engine", "kubernetes", "--image", "tools:1", "--nodes", "all"];

#[test]
fn node_information_of_a_cluster_is_escaped_in_every_format() {
    let cluster = cluster("node-1");
    for format in Format::value_variants() {
        let name = format.to_possible_value().unwrap();
        let args = [&NODES[..], &["--format", name.get_name()]].concat();
        let [stdout, stderr] = printed(cluster.run(&args), 0);
        assert_tame(&stdout);
        assert_tame(&stderr);
        let shown = if *format == Format::Json { "\\u001b]0;evil" } else { "x1b" };
        assert!(stdout.contains(shown), "{stdout}");
    }
    let one = ["experiment", "--engine", "kubernetes", "--image", "tools:1", "--node", "node-1"];
    assert_shown(&printed(cluster.run(&one), 2)[1]);
}

#[test]
fn an_invalid_name_from_a_cluster_is_an_error_that_quotes_it() {
    for name in [HOSTILE, "--all", "a/b"] {
        let [stdout, stderr] = printed(cluster(name).run(&NODES), 2);
        assert_eq!(stdout, "");
        assert_tame(&stderr);
        let shown = if name == HOSTILE { SHOWN } else { name };
        assert!(stderr.contains(&format!("`{shown}")), "{stderr}");
        assert!(stderr.contains("is not a valid name of a Kubernetes object"), "{stderr}");
    }
}

#[test]
fn clean_escapes_invalid_names_and_does_not_pass_them_to_kubectl() {
    let run = "00112233445566778899aabbccddeeff";
    for name in [HOSTILE, "--force"] {
        let fakes = Fakes::new();
        let log = fakes.folder.path().join("log");
        let labels = json!({ "shm.experiment.run": run, "shm.experiment.workload": "ours" });
        let pod = json!({ "metadata": { "name": name, "uid": "1", "labels": labels }, "spec": {} });
        let list = fakes.print("list", &json!({ "items": [pod] }).to_string());
        let script = format!(
            "echo \"$@\" >>{}\n[ $1 = config ] && {{ echo https://here; exit; }}\n{list}",
            log.to_str().unwrap()
        );
        let fakes = fakes.program("kubectl", &script);
        let cluster = json!({ "access": [], "environment": {}, "server": "https://here" });
        let object = json!({
            "cluster": cluster, "run": run, "namespace": "a", "kind": "pod", "name": "ours"
        });
        fakes.ledger(&json!({ "object": object }));
        let [stdout, stderr] = printed(fakes.run(&["clean"]), 2);
        assert_tame(&stdout);
        assert_tame(&stderr);
        assert!(stderr.contains("is not a valid name of a Kubernetes object"), "{stderr}");
        let given = fs::read_to_string(&log).unwrap();
        assert!(given.contains("get pods") && !given.contains(name), "{given}");
    }
}

#[test]
fn clean_escapes_containers_and_folders_and_prints_each_on_one_line() {
    let fakes = Fakes::new();
    let folder = format!("{PREFIX}{HOSTILE}\nhost: removed all");
    fs::create_dir(fakes.folder.path().join(&folder)).unwrap();
    let line = fakes.print("line", &format!("1f\t{HOSTILE}\t{HOSTILE}\n"));
    let fakes = fakes.program("docker", &format!("[ \"$1\" = ps ] && {line}"));
    let [stdout, stderr] = printed(fakes.run(&["clean", "--dry-run"]), 0);
    assert_shown(&stdout);
    assert_tame(&stderr);
    let folder = stdout.lines().find(|line| line.contains(PREFIX)).expect(&stdout);
    assert!(folder.contains(SHOWN) && folder.contains("\\x0ahost: removed all"), "{folder}");
    let container = stdout.lines().find(|line| line.contains("left container")).expect(&stdout);
    assert!(container.contains(SHOWN), "{container}");
}
