//! What killed runs have left in docker and podman.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use super::account::Account;
use crate::dist::Dist;
use crate::engine::docker::remove::ids;
use crate::engine::image::Image;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, Transcript};
use crate::ledger::{BASE_LABEL, CHECKOUT_LABEL, IMAGE_LABEL, Liveness, OWNER_LABEL, Owner};

/// A thing whose run is gone, by its id and its name.
enum Left {
    Pod(String, String),
    Container(String, String),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(_, name) => write!(f, "pod {name}"),
            Self::Container(_, name) => write!(f, "container {name}"),
        }
    }
}

/// What is said where somebody else removes things too: by podman of an image that it has just listed and
/// does not find any more, by docker while it prunes, and of a container until it is gone.
const OTHERS_AT_IT: [&str; 3] =
    ["image not known", "a prune operation is already running", "is already in progress"];
/// How often a command is given that others keep from its end, and how long they are waited for.
const MOST_ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

pub(super) struct Cleaner<'a> {
    pub(super) program: &'static str,
    pub(super) interrupt: &'a Interrupt,
}

impl Cleaner<'_> {
    /// What a command says; it must succeed.
    fn said(&self, args: &[&str]) -> Result<Transcript> {
        let transcript = Invocation::new(self.program, args.iter().copied()).run(self.interrupt)?;
        if !transcript.succeeded() {
            bail!("`{}` failed: {}", transcript.command_line(), transcript.last_words());
        }
        Ok(transcript)
    }

    /// The lines of it.
    fn lines(&self, args: &[&str]) -> Result<Vec<String>> {
        Ok(self.said(args)?.text().lines().map(str::to_owned).collect())
    }

    /// The same of what others remove too: where they keep it from its end it is given again.
    fn lines_in_the_end(&self, args: &[&str]) -> Result<Vec<String>> {
        let mut lines = self.lines(args);
        for _ in 1..MOST_ATTEMPTS {
            let Err(error) = &lines else { break };
            let error = error.to_string();
            if !OTHERS_AT_IT.iter().any(|words| error.contains(words)) {
                break;
            }
            thread::sleep(BETWEEN_ATTEMPTS);
            lines = self.lines(args);
        }
        lines
    }

    /// Removes the containers, and the pods, of runs that are gone.
    pub(super) fn containers(&self, account: &mut Account) -> Result<()> {
        let filter = format!("label={OWNER_LABEL}");
        let mut left = Vec::new();
        if self.program == "podman" {
            // With a pod go its containers.
            let ps = ["pod", "ps", "--quiet", "--no-trunc", "--filter", &filter];
            for pod in ids(&self.said(&ps)?)? {
                let label = format!("{{{{index .Labels \"{OWNER_LABEL}\"}}}}");
                let format = format!("{{{{.Name}}}} {label}");
                let inspect = ["pod", "inspect", "--format", &format, &pod];
                left.extend(self.orphan("pod", &inspect, account).map(|name| Left::Pod(pod, name)));
            }
        }
        let ps = ["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter];
        for id in ids(&self.said(&ps)?)? {
            let format = format!("{{{{.Name}}}} {{{{index .Config.Labels \"{OWNER_LABEL}\"}}}}");
            let inspect = ["inspect", "--format", &format, &id];
            left.extend(
                self.orphan("container", &inspect, account).map(|it| Left::Container(id, it)),
            );
        }
        self.remove(left, account)
    }

    /// The name of a thing whose run is gone; of another it is told that it stays.
    fn orphan(&self, what: &str, inspect: &[&str], account: &mut Account) -> Option<String> {
        // One that goes meanwhile was removed by its own run.
        let lines = self.lines(inspect).ok()?;
        let (name, owner) = lines.first()?.split_once(' ')?;
        let (program, name) = (self.program, name.trim_start_matches('/'));
        match Owner::from_str(owner).map(|owner| owner.liveness()) {
            Ok(Liveness::Dead) => return Some(name.to_owned()),
            Ok(Liveness::Alive) => {
                account
                    .tell(format_args!("{program}: {what} {name} belongs to a run that goes on"));
            }
            Ok(Liveness::Elsewhere) | Err(_) => account.tell(format_args!(
                "{program}: {what} {name} was made on another machine, before the last boot or out \
                 of our sight, so its run may go on; if not: {program} rm -f {name}"
            )),
        }
        None
    }

    /// Removes what is left, in rounds: one that others have joined goes after them.
    fn remove(&self, mut left: Vec<Left>, account: &mut Account) -> Result<()> {
        while !left.is_empty() {
            let before = left.len();
            let mut failure = None;
            let mut again = Vec::new();
            for it in left {
                let remove = || self.remove_one(&it);
                if let Err(error) = account.remove(self.program, &it, remove) {
                    failure = Some(error);
                    again.push(it);
                }
            }
            left = again;
            if let Some(failure) = failure.filter(|_| left.len() == before) {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Removes one thing. That somebody else is faster is no failure.
    fn remove_one(&self, left: &Left) -> Result<()> {
        let (Left::Pod(id, _) | Left::Container(id, _)) = left;
        let filter = format!("id={id}");
        let (rm, ps): (&[&str], &[&str]) = match left {
            Left::Pod(..) => {
                (&["pod", "rm", "--force", id], &["pod", "ps", "--quiet", "--filter", &filter])
            }
            Left::Container(..) => (
                &["rm", "--force", "--volumes", id],
                &["ps", "--all", "--quiet", "--filter", &filter],
            ),
        };
        match self.lines_in_the_end(rm) {
            Err(failure) if !self.lines(ps)?.is_empty() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Removes images of older tools, and what builds that failed have left of theirs. Those that
    /// are up to date in the checkout that they are from stay: the next run uses them.
    pub(super) fn images(&self, account: &mut Account) -> Result<()> {
        let filter = format!("label={IMAGE_LABEL}");
        // Not those of a build that is under way.
        let old = ["image", "prune", "--force", "--filter", &filter, "--filter", "until=10m"];
        if account.is_dry_run() {
            let nameless = ["--filter", "dangling=true", "--filter", &filter];
            let ls = ["image", "ls", "--quiet", "--no-trunc"];
            for id in self.lines_in_the_end(&[&ls[..], &nameless].concat())? {
                let program = self.program;
                account.tell(format_args!(
                    "{program}: would remove image {id}, where it is older than ten minutes"
                ));
            }
        } else {
            self.lines_in_the_end(&old)?;
        }
        let filter = format!("label={BASE_LABEL}");
        let format = "{{.Repository}}:{{.Tag}}";
        let list = ["image", "ls", "--filter", &filter, "--format", format];
        for tag in self.lines_in_the_end(&list)? {
            let label = |name| format!("{{{{index .Config.Labels \"{name}\"}}}}");
            let format = format!("{}\n{}", label(BASE_LABEL), label(CHECKOUT_LABEL));
            let Ok(lines) = self.lines(&["image", "inspect", "--format", &format, &tag]) else {
                continue;
            };
            let base = lines.first().map_or("", String::as_str);
            let checkout = lines.get(1).map(Path::new).filter(|path| path.is_absolute());
            let dists = checkout.map(Dist::of_checkout).into_iter().chain([Dist::as_it_is()]);
            let mut images = dists.filter_map(|dist| Image::new(&dist, base).ok());
            if images.any(|image| tag.ends_with(image.tag())) {
                account
                    .tell(format_args!("{}: kept image {tag}, which is up to date", self.program));
                continue;
            }
            let remove = || self.lines(&["image", "rm", &tag]).map(drop);
            if account.remove(self.program, format_args!("image {tag}"), remove).is_err() {
                account.tell(format_args!("{}: image {tag} is in use", self.program));
            }
        }
        Ok(())
    }
}
