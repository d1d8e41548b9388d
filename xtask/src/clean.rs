//! `cargo xtask clean`: removes what killed runs have left, and only that.

use std::fs;
use std::io::Write;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::dist::Dist;
use crate::engine::image::Image;
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, Transcript};
use crate::ledger::{BASE_LABEL, IMAGE_LABEL, Liveness, OWNER_LABEL, OWNER_VARIABLE, Owner};
use crate::report::output;

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
    // An engine that is not there, or does not answer, has nothing that could be removed.
    let mut cleaners = ["docker", "podman"].map(|program| Cleaner { program, interrupt }).to_vec();
    cleaners.retain(|cleaner| cleaner.invoke(&["version"]).is_ok_and(|it| it.succeeded()));

    let mut removed = 0;
    for cleaner in &cleaners {
        removed += cleaner.containers(out)?;
    }
    let ended = processes(out)?;
    if ended > 0 {
        // One of them may have been asking an engine for a container, which that still makes.
        thread::sleep(ENGINE_SETTLES);
        for cleaner in &cleaners {
            removed += cleaner.containers(out)?;
        }
    }
    for cleaner in &cleaners {
        removed += cleaner.images(out)?;
    }
    removed += ended;
    if removed == 0 {
        writeln!(out, "nothing was left")?;
    }
    Ok(())
}

/// How long an engine may go on with what a client asked for that is gone.
const ENGINE_SETTLES: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
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

    fn containers(&self, out: &mut Vec<u8>) -> Result<usize> {
        let filter = format!("label={OWNER_LABEL}");
        let ids = self.lines(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter])?;
        let mut removed = 0;
        for id in ids {
            let format = format!("{{{{.Name}}}} {{{{index .Config.Labels \"{OWNER_LABEL}\"}}}}");
            // One that goes meanwhile was removed by its own run.
            let Ok(lines) = self.lines(&["inspect", "--format", &format, &id]) else { continue };
            let Some((name, owner)) = lines.first().and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let (program, name) = (self.program, name.trim_start_matches('/'));
            match Owner::from_str(owner).map(|owner| owner.liveness()) {
                Ok(Liveness::Alive) => {
                    writeln!(out, "{program}: container {name} belongs to a run that goes on")?;
                }
                Ok(Liveness::Dead) => {
                    self.lines(&["rm", "--force", "--volumes", &id])?;
                    writeln!(out, "{program}: removed container {name}")?;
                    removed += 1;
                }
                Ok(Liveness::Elsewhere) | Err(_) => writeln!(
                    out,
                    "{program}: container {name} was made on another machine or before the last \
                     boot, so its run may go on; if not: {program} rm -f {name}"
                )?,
            }
        }
        Ok(removed)
    }

    /// Removes images of older tools, and what builds that failed have left of theirs. The one
    /// that is up to date stays: the next run uses it.
    fn images(&self, out: &mut Vec<u8>) -> Result<usize> {
        let filter = format!("label={IMAGE_LABEL}");
        self.lines(&["image", "prune", "--force", "--filter", &filter])?;
        let filter = format!("label={BASE_LABEL}");
        let format = "{{.Repository}}:{{.Tag}}";
        let mut removed = 0;
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
                removed += 1;
            } else {
                writeln!(out, "{}: image {tag} is in use", self.program)?;
            }
        }
        Ok(removed)
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
