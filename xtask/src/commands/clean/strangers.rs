//! Reports resources that look like ours but are in no ledger, and does not remove them.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use std::{env, fs};

use rustix::process::geteuid;

use crate::commands::clean::Summary;
use crate::process::interrupt::Interrupt;
use crate::process::invocation::Invocation;
use crate::process::labels::{IMAGE_LABEL, LEDGER_LABEL, RUN_LABEL};
use crate::process::ledger::{self, Entry, StoredLedger};
use crate::process::name::{CheckedName, Id, Label};
use crate::process::untrusted::Untrusted;
use crate::process::volume;

/// The time limit for an engine to answer.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(10);

/// Reports all that the available engines list.
pub(super) fn report(interrupt: &Interrupt, summary: &mut Summary) {
    for program in ["docker", "podman"] {
        containers(program, interrupt, summary);
        images(program, interrupt, summary);
    }
    folders(summary);
    namespaces(interrupt, summary);
}

/// Returns the entries of this user's ledgers. Call it after a listing: entries precede resources.
fn ledger_entries() -> Vec<Entry> {
    let entries = |found| match found {
        StoredLedger::InUse(entries) => entries,
        StoredLedger::Past(past) => past.entries,
        StoredLedger::Unreadable(_) => vec![],
    };
    ledger::all().unwrap_or_default().into_iter().flat_map(entries).collect()
}

/// Returns the lines that a command prints, split at tabs. Returns none if the command fails: the
/// engine may be missing, down or slow.
fn lines(program: &str, args: &[&str], interrupt: &Interrupt) -> Vec<Vec<Untrusted>> {
    let asked = Invocation::new(program, args.iter().copied()).timeout(ENGINE_TIMEOUT);
    match asked.run(interrupt) {
        Ok(answer) if answer.succeeded() => {
            answer.text().lines().map(|line| line.fields('\t').collect()).collect()
        }
        _ => vec![],
    }
}

/// Reports containers that no ledger names.
fn containers(program: &str, interrupt: &Interrupt, summary: &mut Summary) {
    let label = |name| match program {
        "podman" => format!("{{{{json (index .Labels \"{name}\")}}}}"),
        _ => format!("{{{{json (.Label \"{name}\")}}}}"),
    };
    let format = format!("{{{{.ID}}}}\t{{{{.Names}}}}\t{}", label(LEDGER_LABEL));
    let filter = format!("label={RUN_LABEL}");
    let ps = ["ps", "--all", "--no-trunc", "--filter", &filter, "--format", &format];
    let listed = lines(program, &ps, interrupt);
    let recorded = ledger_entries();
    for line in listed {
        let [id, name, ledger @ ..] = &line[..] else { continue };
        let Ok(id) = id.parse::<CheckedName<Id>>() else { continue };
        let is_named = |it: &Entry| match it {
            Entry::Container { name: it, .. } => name == it.as_str(),
            // The infrastructure container has the pod's name without this suffix.
            Entry::Pod { name: it, .. } => it.strip_suffix("-pod").is_some_and(|it| *name == it),
            _ => false,
        };
        if !recorded.iter().any(is_named) {
            let none = Untrusted::from("none");
            let ledger = ledger.first().unwrap_or(&none);
            summary.report(format_args!(
                "{program}: left container {name}: it has our label, but no ledger of this user names it; \
                 an active run may use it\n  \
                 ledger in its label: {ledger}\n  \
                 to remove it: {program} rm --force --volumes {id}"
            ));
        }
    }
}

/// Reports images without a name or in our repository. Users' builds have the label too.
fn images(program: &str, interrupt: &Interrupt, summary: &mut Summary) {
    let filter = format!("label={IMAGE_LABEL}");
    let format = "{{.ID}}\t{{.Repository}}";
    let ls = ["image", "ls", "--no-trunc", "--filter", &filter, "--format", format];
    let mut ids: Vec<String> = Vec::new();
    let listed = lines(program, &ls, interrupt);
    let recorded = ledger_entries();
    for line in listed {
        let [id, repository] = &line[..] else { continue };
        let id = id.strip_prefix("sha256:").unwrap_or_else(|| id.clone());
        let Ok(id) = id.parse::<CheckedName<Id>>() else { continue };
        let ours = ["<none>", "shm_experiment", "localhost/shm_experiment"];
        let is_named = |it: &Entry| matches!(it, Entry::Image { id: it, .. } if *it == id);
        if ours.iter().any(|it| repository == it) && !recorded.iter().any(is_named) {
            ids.push(id.get(..12).unwrap_or(&id).to_owned());
        }
    }
    if !ids.is_empty() {
        let count = ids.len();
        let (images, them) = if count == 1 { ("image", "it") } else { ("images", "them") };
        summary.report(format_args!(
            "{program}: left {count} {images} with our label that no ledger of this user names\n  \
             to remove {them}: {program} image rm {}",
            ids.join(" ")
        ));
    }
}

fn folders(summary: &mut Summary) {
    let listed: Vec<_> = fs::read_dir(env::temp_dir()).into_iter().flatten().flatten().collect();
    let recorded = ledger_entries();
    for entry in listed {
        let (path, name) = (entry.path(), entry.file_name());
        let is_named = |it: &Entry| matches!(it, Entry::Folder { path: it, .. } if *it == path);
        // Ignore the folders of other users.
        let looks_like_ours = name.to_string_lossy().starts_with(volume::PREFIX)
            && entry.metadata().is_ok_and(|it| it.uid() == geteuid().as_raw());
        if looks_like_ours && !recorded.iter().any(is_named) {
            let path = Untrusted::path(&path);
            summary.report(format_args!(
                "host: left {path}: its name is like ours, but no ledger of this user names it"
            ));
        }
    }
}

/// Reports namespaces of the cluster that kubectl is configured for.
fn namespaces(interrupt: &Interrupt, summary: &mut Summary) {
    let format = "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
    let get = ["get", "namespaces", "--selector", RUN_LABEL, "--output", format];
    let get = [&get[..], &["--request-timeout", "8s"]].concat();
    let listed = lines("kubectl", &get, interrupt);
    let recorded = ledger_entries();
    for line in listed {
        let Some(Ok(name)) = line.first().map(Untrusted::parse::<CheckedName<Label>>) else {
            continue;
        };
        let is_named =
            |it: &Entry| matches!(it, Entry::Object { namespace, .. } if *namespace == *name);
        if !recorded.iter().any(is_named) {
            summary.report(format_args!(
                "kubernetes: left namespace {name}: it has our label, but no ledger of this user names it; \
                 an active run may use it\n  \
                 to remove it: kubectl delete namespace {name}"
            ));
        }
    }
}
