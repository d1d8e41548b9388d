//! `cargo xtask clean`: removes what killed runs have left, and only that.

use std::fs;
use std::io::Write;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::dist::Dist;
use crate::engine::docker::ENGINE_SETTLES;
use crate::engine::image::Image;
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError, Transcript};
use crate::ledger::{BASE_LABEL, IMAGE_LABEL, Liveness, OWNER_LABEL, OWNER_VARIABLE, Owner};
use crate::report::output;

mod cluster;
mod volumes;

/// Looks at every engine that answers and at the processes, removes what belongs to runs that
/// are gone, and says so on standard output.
///
/// # Errors
///
/// Where something that should go could not be removed.
pub fn run(interrupt: &Interrupt) -> Result<Exit> {
    // Told at the end, so that a reader who closes the pipe does not keep us from cleaning.
    let mut told = Vec::new();
    let cleaned = clean(interrupt, &mut told);
    output::write(None, |out| out.write_all(&told))?;
    cleaned.map(|()| Exit::AsPredicted)
}

fn clean(interrupt: &Interrupt, out: &mut Vec<u8>) -> Result<()> {
    let mut cleaners = Vec::new();
    let mut silent = Vec::new();
    for program in ["docker", "podman"] {
        let cleaner = Cleaner { program, interrupt };
        match Invocation::new(program, ["version"]).timeout(PATIENCE).run(interrupt) {
            // Where there is no engine there is nothing of it.
            Err(InvocationError::NotFound { .. }) => {}
            Ok(transcript) if transcript.succeeded() => cleaners.push(cleaner),
            Ok(transcript) => silent.push(format!("{program}: {}", transcript.last_words())),
            Err(error) => silent.push(error.to_string()),
        }
    }
    for cleaner in &cleaners {
        cleaner.containers(out)?;
    }
    let ended = processes(out)?;
    if ended > 0 {
        // One of them may have been asking an engine for a container, which that still makes.
        thread::sleep(ENGINE_SETTLES);
        for cleaner in &cleaners {
            cleaner.containers(out)?;
        }
    }
    for cleaner in &cleaners {
        cleaner.images(out)?;
    }
    volumes::clean(out)?;
    if let Err(error) = cluster::clean(interrupt, out) {
        silent.push(error.to_string());
    }
    if !silent.is_empty() {
        bail!("containers may be left where an engine does not answer: {}", silent.join("; "));
    }
    if out.is_empty() {
        writeln!(out, "nothing was left")?;
    }
    Ok(())
}

/// How long an engine may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A thing whose run is gone, by its id and its name.
enum Left {
    Pod(String, String),
    Container(String, String),
}

struct Cleaner<'a> {
    program: &'static str,
    interrupt: &'a Interrupt,
}

impl Cleaner<'_> {
    fn invoke(&self, args: &[&str]) -> Result<Transcript> {
        Ok(Invocation::new(self.program, args.iter().copied()).run(self.interrupt)?)
    }

    /// The lines that a command prints; it must succeed.
    fn lines(&self, args: &[&str]) -> Result<Vec<String>> {
        let transcript = self.invoke(args)?;
        if !transcript.succeeded() {
            bail!("`{}` failed: {}", transcript.command_line(), transcript.last_words());
        }
        Ok(transcript.text().lines().map(str::to_owned).collect())
    }

    fn containers(&self, out: &mut Vec<u8>) -> Result<()> {
        let filter = format!("label={OWNER_LABEL}");
        let mut left = Vec::new();
        if self.program == "podman" {
            // With a pod go its containers.
            for pod in self.lines(&["pod", "ps", "--quiet", "--no-trunc", "--filter", &filter])? {
                let label = format!("{{{{index .Labels \"{OWNER_LABEL}\"}}}}");
                let format = format!("{{{{.Name}}}} {label}");
                let inspect = ["pod", "inspect", "--format", &format, &pod];
                left.extend(self.orphan("pod", &inspect, out)?.map(|name| Left::Pod(pod, name)));
            }
        }
        let ids = self.lines(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter])?;
        for id in ids {
            let format = format!("{{{{.Name}}}} {{{{index .Config.Labels \"{OWNER_LABEL}\"}}}}");
            let inspect = ["inspect", "--format", &format, &id];
            left.extend(self.orphan("container", &inspect, out)?.map(|it| Left::Container(id, it)));
        }
        self.remove(left, out)
    }

    /// The name of a thing whose run is gone; of another it is told that it stays.
    fn orphan(&self, what: &str, inspect: &[&str], out: &mut Vec<u8>) -> Result<Option<String>> {
        // One that goes meanwhile was removed by its own run.
        let Ok(lines) = self.lines(inspect) else { return Ok(None) };
        let Some((name, owner)) = lines.first().and_then(|line| line.split_once(' ')) else {
            return Ok(None);
        };
        let (program, name) = (self.program, name.trim_start_matches('/'));
        match Owner::from_str(owner).map(|owner| owner.liveness()) {
            Ok(Liveness::Dead) => return Ok(Some(name.to_owned())),
            Ok(Liveness::Alive) => {
                writeln!(out, "{program}: {what} {name} belongs to a run that goes on")?;
            }
            Ok(Liveness::Elsewhere) | Err(_) => writeln!(
                out,
                "{program}: {what} {name} was made on another machine, before the last boot or out \
                 of our sight, so its run may go on; if not: {program} rm -f {name}"
            )?,
        }
        Ok(None)
    }

    /// Removes what is left, in rounds: one that others have joined goes after them.
    fn remove(&self, mut left: Vec<Left>, out: &mut Vec<u8>) -> Result<()> {
        while !left.is_empty() {
            let before = left.len();
            let mut failure = None;
            let mut again = Vec::new();
            for it in left {
                let (removed, what, name) = match &it {
                    Left::Pod(id, name) => (self.lines(&["pod", "rm", "--force", id]), "pod", name),
                    Left::Container(id, name) => {
                        (self.lines(&["rm", "--force", "--volumes", id]), "container", name)
                    }
                };
                match removed {
                    Ok(_) => writeln!(out, "{}: removed {what} {name}", self.program)?,
                    Err(error) => {
                        failure = Some(error);
                        again.push(it);
                    }
                }
            }
            left = again;
            if let Some(failure) = failure.filter(|_| left.len() == before) {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Removes images of older tools, and what builds that failed have left of theirs. The one
    /// that is up to date stays: the next run uses it.
    fn images(&self, out: &mut Vec<u8>) -> Result<()> {
        let filter = format!("label={IMAGE_LABEL}");
        // Not those of a build that is under way.
        let old = ["--filter", "until=10m"];
        self.lines(&[&["image", "prune", "--force", "--filter", &filter], &old[..]].concat())?;
        let filter = format!("label={BASE_LABEL}");
        let format = "{{.Repository}}:{{.Tag}}";
        for tag in self.lines(&["image", "ls", "--filter", &filter, "--format", format])? {
            let format = format!("{{{{index .Config.Labels \"{BASE_LABEL}\"}}}}");
            let Ok(lines) = self.lines(&["image", "inspect", "--format", &format, &tag]) else {
                continue;
            };
            let base = lines.first().map_or("", String::as_str);
            let current = Image::new(&Dist::as_it_is(), base);
            if current.is_ok_and(|current| tag.ends_with(current.tag())) {
                writeln!(out, "{}: kept image {tag}, which is up to date", self.program)?;
            } else if self.invoke(&["image", "rm", &tag])?.succeeded() {
                writeln!(out, "{}: removed image {tag}", self.program)?;
            } else {
                writeln!(out, "{}: image {tag} is in use", self.program)?;
            }
        }
        Ok(())
    }
}

/// Ends the processes whose runs are gone: containers of the namespaces engine, by their
/// environment, and commands that make containers, by the label among their arguments. Other
/// commands end by themselves, and what an engine keeps running behind them is not ours.
fn processes(out: &mut Vec<u8>) -> Result<usize> {
    let mut ended = 0;
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Processes of other users cannot be read, and are not ours to end.
        let read = |file| fs::read(entry.path().join(file)).unwrap_or_default();
        let owner = owner_among(&read("environ"), OWNER_VARIABLE)
            .or_else(|| owner_among(&read("cmdline"), OWNER_LABEL));
        if owner.is_some_and(|owner| owner.liveness() == Liveness::Dead)
            && let Some(process) = Pid::from_raw(pid)
            && kill_process(process, Signal::KILL).is_ok()
        {
            writeln!(out, "ended process {pid}")?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// The owner in an entry `name=owner` of an environment or of a command line.
fn owner_among(entries: &[u8], name: &str) -> Option<Owner> {
    entries.split(|byte| *byte == 0).find_map(|entry| {
        let value = std::str::from_utf8(entry).ok()?.strip_prefix(name)?;
        value.strip_prefix('=')?.parse().ok()
    })
}
