//! What looks like ours and is in no ledger: told, with the command that removes it, and left.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use std::{env, fs};

use rustix::process::geteuid;

use crate::commands::clean::summary::Summary;
use crate::process::interrupt::Interrupt;
use crate::process::invocation::Invocation;
use crate::process::labels::{IMAGE_LABEL, LEDGER_LABEL, RUN_LABEL};
use crate::process::ledger::{self, Entry, Found};
use crate::process::name::{Id, Label, Name};
use crate::process::untrusted::Untrusted;
use crate::process::volume;

/// How long an engine may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Tells of all of it, where it can be seen.
pub(super) fn tell(interrupt: &Interrupt, summary: &mut Summary) {
    for program in ["docker", "podman"] {
        let engine = ListedEngine { program, interrupt };
        engine.containers(summary);
        engine.images(summary);
    }
    folders(summary);
    namespaces(interrupt, summary);
}

/// What the ledgers of this user name. To be read after a listing: a thing is written down before it is made.
fn named() -> Vec<Entry> {
    let entries = |found| match found {
        Found::InUse(entries) => entries,
        Found::Past(past) => past.entries().to_vec(),
        Found::Unreadable(_) => vec![],
    };
    ledger::all().unwrap_or_default().into_iter().flat_map(entries).collect()
}

/// Returns the lines that a command prints, split at tabs. Returns none where the command fails: the
/// engine may be missing, down or slow.
fn lines(program: &str, args: &[&str], interrupt: &Interrupt) -> Vec<Vec<Untrusted>> {
    let asked = Invocation::new(program, args.iter().copied()).timeout(ANSWERS_WITHIN);
    match asked.run(interrupt) {
        Ok(answer) if answer.succeeded() => {
            answer.text().lines().map(|line| line.fields('\t').collect()).collect()
        }
        _ => vec![],
    }
}

struct ListedEngine<'a> {
    program: &'static str,
    interrupt: &'a Interrupt,
}

impl ListedEngine<'_> {
    fn containers(&self, summary: &mut Summary) {
        let label = |name| match self.program {
            "podman" => format!("{{{{json (index .Labels \"{name}\")}}}}"),
            _ => format!("{{{{json (.Label \"{name}\")}}}}"),
        };
        let format = format!("{{{{.ID}}}}\t{{{{.Names}}}}\t{}", label(LEDGER_LABEL));
        let filter = format!("label={RUN_LABEL}");
        let ps = ["ps", "--all", "--no-trunc", "--filter", &filter, "--format", &format];
        let listed = lines(self.program, &ps, self.interrupt);
        let named = named();
        for line in listed {
            let [id, name, ledger @ ..] = &line[..] else { continue };
            let Ok(id) = id.parse::<Name<Id>>() else { continue };
            let is_named = |it: &Entry| match it {
                Entry::Container { name: it, .. } => name == it.as_str(),
                // Its infrastructure container has the same name but for this.
                Entry::Pod { name: it, .. } => {
                    it.strip_suffix("-pod").is_some_and(|it| *name == it)
                }
                _ => false,
            };
            if !named.iter().any(is_named) {
                let (program, none) = (self.program, Untrusted::from("none"));
                let ledger = ledger.first().unwrap_or(&none);
                summary.tell(format_args!(
                    "{program}: left container {name}: it has our label, but no ledger of this user names it; \
                     a run that goes on may use it\n  \
                     its own ledger: {ledger}\n  to remove it: {program} rm --force --volumes {id}"
                ));
            }
        }
    }

    /// Those that nobody has named otherwise: what people build with the Dockerfile has our label, too.
    fn images(&self, summary: &mut Summary) {
        let filter = format!("label={IMAGE_LABEL}");
        let format = "{{.ID}}\t{{.Repository}}";
        let ls = ["image", "ls", "--no-trunc", "--filter", &filter, "--format", format];
        let mut ids: Vec<String> = Vec::new();
        let listed = lines(self.program, &ls, self.interrupt);
        let named = named();
        for line in listed {
            let [id, repository] = &line[..] else { continue };
            let id = id.strip_prefix("sha256:").unwrap_or_else(|| id.clone());
            let Ok(id) = id.parse::<Name<Id>>() else { continue };
            let ours = ["<none>", "shm_experiment", "localhost/shm_experiment"];
            let is_named = |it: &Entry| matches!(it, Entry::Image { id: it, .. } if *it == id);
            if ours.iter().any(|it| repository == it) && !named.iter().any(is_named) {
                ids.push(id.get(..12).unwrap_or(&id).to_owned());
            }
        }
        if !ids.is_empty() {
            let (program, count) = (self.program, ids.len());
            let (images, them) = if count == 1 { ("image", "it") } else { ("images", "them") };
            summary.tell(format_args!(
                "{program}: left {count} {images} with our label that no ledger of this user names\n  \
                 to remove {them}: {program} image rm {}",
                ids.join(" ")
            ));
        }
    }
}

fn folders(summary: &mut Summary) {
    let listed: Vec<_> = fs::read_dir(env::temp_dir()).into_iter().flatten().flatten().collect();
    let named = named();
    for entry in listed {
        let (path, name) = (entry.path(), entry.file_name());
        let is_named = |it: &Entry| matches!(it, Entry::Folder { path: it, .. } if *it == path);
        // Those of other users are theirs to look at.
        let looks_like_one = name.to_string_lossy().starts_with(volume::PREFIX)
            && entry.metadata().is_ok_and(|it| it.uid() == geteuid().as_raw());
        if looks_like_one && !named.iter().any(is_named) {
            let path = Untrusted::path(&path);
            summary.tell(format_args!(
                "host: left {path}: its name is like ours, but no ledger of this user names it"
            ));
        }
    }
}

/// Namespaces of the cluster that kubectl is configured for, if there is one.
fn namespaces(interrupt: &Interrupt, summary: &mut Summary) {
    let format = "jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
    let get = ["get", "namespaces", "--selector", RUN_LABEL, "--output", format];
    let get = [&get[..], &["--request-timeout", "8s"]].concat();
    let listed = lines("kubectl", &get, interrupt);
    let named = named();
    for line in listed {
        let Some(Ok(name)) = line.first().map(Untrusted::parse::<Name<Label>>) else { continue };
        let is_named =
            |it: &Entry| matches!(it, Entry::Object { namespace, .. } if *namespace == *name);
        if !named.iter().any(is_named) {
            summary.tell(format_args!(
                "kubernetes: left namespace {name}: it has our label, but no ledger of this user names it; \
                 a run that goes on may use it\n  \
                 to remove it: kubectl delete namespace {name}"
            ));
        }
    }
}
