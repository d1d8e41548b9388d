//! What is on the machine, before and after.

use std::collections::BTreeSet;
use std::fs;

use assert_cmd::Command;
use libtest_mimic::Failed;

use crate::machine::which;

#[derive(Debug)]
pub(crate) struct Snapshot {
    things: BTreeSet<String>,
}

impl Snapshot {
    pub(crate) fn take() -> Self {
        let mut things = BTreeSet::new();
        for program in ["docker", "podman"].into_iter().filter(|program| which(program).is_some()) {
            let containers = ["ps", "--all", "--filter", "label=shm.experiment.owner", "--format"];
            things.extend(lines(program, &containers, "{{.Names}} {{.Status}}"));
            // Images with our label are meant to stay.
            let all = lines(program, &["image", "ls", "--all", "--format"], "{{.ID}}");
            let ours =
                ["image", "ls", "--all", "--filter", "label=shm.experiment.image", "--format"];
            let ours: BTreeSet<_> = lines(program, &ours, "{{.ID}}").collect();
            things.extend(all.filter(|image| !ours.contains(image)));
        }
        let segments = shm_core::table::list().unwrap_or_default();
        things.extend(segments.iter().map(|segment| format!("segment {}", segment.shmid)));
        things.extend(processes());
        let shm = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let names = shm.map(|entry| entry.file_name().to_string_lossy().into_owned());
        things.extend(names.filter(|name| name.starts_with("shm_")));
        for kind in ["sem", "msg"] {
            let listed = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
            things.extend(listed.lines().skip(1).map(|line| format!("{kind} {line}")));
        }
        things.extend(crate::cluster::objects().lines().map(str::to_owned));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        // Those of containers of others come and go.
        let mounts = mounts.lines().filter(|line| !line.contains("/containers"));
        things.extend(mounts.filter(|line| line.contains("/dev/shm")).map(str::to_owned));
        Self { things }
    }

    /// Fails where something is there now that was not there then.
    pub(crate) fn compare(&self) -> Result<(), Failed> {
        let now = Self::take();
        let new: Vec<_> = now.things.difference(&self.things).collect();
        if new.is_empty() { Ok(()) } else { Err(format!("left behind: {new:#?}").into()) }
    }
}

fn lines(program: &str, args: &[&str], format: &str) -> impl Iterator<Item = String> {
    let output = Command::new(program).args(args).arg(format).output();
    let stdout = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let lines: Vec<_> = text.lines().map(|line| format!("{program}: {line}")).collect();
    lines.into_iter()
}

/// Processes that belong to a run.
fn processes() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|it| it.starts_with(b"SHM_EXPERIMENT_OWNER="))
        })
        .map(|entry| format!("process {}", entry.file_name().to_string_lossy()))
        .collect()
}
