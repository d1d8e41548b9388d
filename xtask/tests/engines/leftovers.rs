//! What is on the machine, before and after.

use std::collections::BTreeSet;
use std::fs;

use assert_cmd::Command;
use libtest_mimic::Failed;
use xtask::host::VOLUME_PREFIX;
use xtask::ledger::{Liveness, OWNER_LABEL, OWNER_VARIABLE, Owner};

use crate::machine::which;

#[derive(Debug)]
pub(crate) struct Snapshot {
    things: BTreeSet<String>,
}

impl Snapshot {
    pub(crate) fn take() -> Self {
        let mut things = BTreeSet::new();
        for program in ["docker", "podman"].into_iter().filter(|program| which(program).is_some()) {
            things.extend(containers(program));
            for kind in ["network", "volume"] {
                things.extend(lines(program, &[kind, "ls", "--format"], "{{.Name}}"));
            }
            // Images with our label are meant to stay.
            let all = lines(program, &["image", "ls", "--all", "--format"], "{{.ID}}");
            let ours =
                ["image", "ls", "--all", "--filter", "label=shm.experiment.image", "--format"];
            let ours: BTreeSet<_> = lines(program, &ours, "{{.ID}}").into_iter().collect();
            things.extend(all.into_iter().filter(|image| !ours.contains(image)));
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
        // Those of containers of others come and go; without its container none of ours is there.
        let of_containers = ["/containers", "/docker", "/kubelet"];
        let others = |line: &&str| !of_containers.iter().any(|it| line.contains(it));
        things.extend(mounts.lines().filter(others).map(str::to_owned));
        let folder = std::env::temp_dir();
        let volumes = fs::read_dir(folder).into_iter().flatten().flatten();
        let volumes = volumes.map(|entry| entry.path().to_string_lossy().into_owned());
        things.extend(volumes.filter(|path| path.contains(VOLUME_PREFIX)));
        Self { things }
    }

    /// Fails where something is there now that was not there then.
    pub(crate) fn compare(&self) -> Result<(), Failed> {
        let now = Self::take();
        let new: Vec<_> = now.things.difference(&self.things).collect();
        if new.is_empty() { Ok(()) } else { Err(format!("left behind: {new:#?}").into()) }
    }
}

fn lines(program: &str, args: &[&str], format: &str) -> Vec<String> {
    let output = Command::new(program).args(args).arg(format).output();
    let stdout = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    text.lines().map(|line| format!("{program}: {line}")).collect()
}

/// Those of runs that are gone: nobody else's run is ours to judge while it goes on.
fn containers(program: &str) -> Vec<String> {
    let label = match program {
        "podman" => format!("{{{{index .Labels \"{OWNER_LABEL}\"}}}}"),
        _ => format!("{{{{.Label \"{OWNER_LABEL}\"}}}}"),
    };
    let filter = format!("label={OWNER_LABEL}");
    let format = format!("{{{{.Names}}}}\t{label}");
    let mut listed = lines(program, &["ps", "--all", "--filter", &filter, "--format"], &format);
    listed.retain(|line| line.rsplit('\t').next().is_none_or(|owner| !lives(owner)));
    listed
}

/// Or may live: one in a world of its own cannot be seen from here.
fn lives(owner: &str) -> bool {
    owner.parse::<Owner>().is_ok_and(|owner| owner.liveness() != Liveness::Dead)
}

/// Processes that belong to a run that is gone.
fn processes() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment);
            let owner = |it: &str| it.strip_prefix(OWNER_VARIABLE)?.strip_prefix('=').map(lives);
            environment.split('\0').find_map(owner) == Some(false)
        })
        .map(|entry| format!("process {}", entry.file_name().to_string_lossy()))
        .collect()
}
