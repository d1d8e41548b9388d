//! What all groups measure with: the tools, the peers, and a namespace for both.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::commands::bench::measurement::{Comparison, Group, Measurement, Row, Spread};
use crate::commands::bench::pairs::{self, Pairs};
use crate::commands::bench::peers::Peer;
use crate::engine::dist::Dist;
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output, command_line, program};
use crate::process::ledger::Ledger;
use crate::process::untrusted::Untrusted;

/// How long one command may take.
const TIMEOUT: Duration = Duration::from_mins(20);

/// What makes an IPC namespace of its own, in which the article's key is free, whoever runs it.
const UNSHARE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--ipc"];

pub(super) struct Workplace<'a> {
    pub(super) interrupt: &'a Interrupt,
    /// Where it is written down what the measurements make.
    pub(super) ledger: Ledger,
    pairs: usize,
    dist: Dist,
    folder: PathBuf,
}

impl<'a> Workplace<'a> {
    /// With the tools of the sources as they are; the peers are built when they are needed, in
    /// `target/bench`.
    pub(super) fn open(pairs: usize, interrupt: &'a Interrupt) -> Result<Self> {
        let dist = Dist::current(interrupt)?;
        let folder = dist.context().join("target/bench");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", Untrusted::path(&folder)))?;
        Ok(Self { interrupt, ledger: Ledger::default(), pairs, dist, folder })
    }

    /// The path of a tool.
    pub(super) fn tool(&self, name: &str) -> String {
        self.dist.tool(name)
    }

    /// The checkout that is measured.
    pub(super) fn dist(&self) -> &Dist {
        &self.dist
    }

    /// The path of a file to work with.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Builds a peer where it is not there as its source is now; the path of the program.
    pub(super) fn build(&self, peer: Peer) -> Result<String> {
        let program = self.file(peer.name);
        let source = program.with_extension(peer.language);
        let path = program.to_string_lossy().into_owned();
        let is_built = fs::read_to_string(&source).is_ok_and(|it| it == peer.source);
        if !is_built || !program.is_file() {
            // A build that fails leaves nothing that would pass for it.
            let _ = fs::remove_file(&program);
            fs::write(&source, peer.source)?;
            let source = source.to_string_lossy().into_owned();
            let args = [peer.flags, &["-o", &path, &source]].concat();
            self.run(&Invocation::new(peer.compiler, args))?;
        }
        Ok(path)
    }

    /// A shell script in an IPC namespace of its own and with no environment: each variable costs a
    /// program instructions before its `main`.
    pub(super) fn private(script: &str) -> Invocation {
        let args = [&["-i"], &UNSHARE[..], &["sh", "-c", script]].concat();
        Invocation::new("env", args)
    }

    /// A side of a comparison, with its command as it is typed in the checkout.
    pub(super) fn measurement(
        &self,
        of: &str,
        value: impl Into<Spread>,
        invocation: &Invocation,
    ) -> Measurement {
        let root = format!("{}/", self.dist.context().to_string_lossy());
        let command = command_line(&invocation.command()).replace(&root, "");
        let command = Untrusted::from(command).to_string();
        Measurement { of: of.to_owned(), value: value.into(), command }
    }

    /// Runs a command that has to succeed.
    pub(super) fn run(&self, invocation: &Invocation) -> Result<Output> {
        let output = invocation.clone().timeout(TIMEOUT).run(self.interrupt)?;
        if !output.succeeded() {
            let (command, status) = (output.command_line(), output.status());
            bail!("`{command}` failed, exit status {status}\n  {}", output.stderr_tail());
        }
        Ok(output)
    }

    /// Runs a command that prints how many nanoseconds something took; the seconds.
    pub(super) fn seconds(&self, invocation: &Invocation) -> Result<f64> {
        let printed = self.run(invocation)?.text();
        let nanoseconds: f64 =
            printed.parse().with_context(|| format!("no time was printed, but {printed:?}"))?;
        Ok(nanoseconds * 1e-9)
    }

    /// Times two commands that print nanoseconds, in pairs.
    pub(super) fn pairs(&self, ours: &Invocation, peer: &Invocation) -> Result<Pairs> {
        pairs::measure(self.pairs, || self.seconds(ours), || self.seconds(peer))
    }

    /// How many pairs to measure of what takes seconds: not more than `most`.
    pub(super) fn at_most(&self, most: usize) -> usize {
        self.pairs.min(most)
    }

    /// A row, or why there is none: what it needs of the machine is not there.
    pub(super) fn row(
        &self,
        (group, name): (Group, String),
        needs: &[&str],
        measure: impl FnOnce(String) -> Result<Comparison>,
    ) -> Result<Row> {
        if let Some(why) = needs.iter().find_map(|program| self.unsupported_reason(program)) {
            return Ok(Row::Skipped { group, name, why });
        }
        let failed = format!("measuring {name}");
        measure(name).map(|it| Row::Compared(Box::new(it))).context(failed)
    }

    /// Why a program cannot be used here.
    pub(super) fn unsupported_reason(&self, needed: &str) -> Option<String> {
        let path = env::var_os("PATH").unwrap_or_default();
        if program::find(needed, &path).is_none() {
            return Some(format!("{needed} is not installed"));
        }
        let probe: &[&str] = match needed {
            "unshare" => &[&UNSHARE[1..], &["true"]].concat(),
            "docker" => &["version"],
            _ => return None,
        };
        let answer = Invocation::new(needed, probe.iter().copied()).run(self.interrupt);
        match answer {
            Ok(answer) if answer.succeeded() => None,
            Ok(answer) => Some(format!("{needed} cannot be used: {}", answer.stderr_tail())),
            Err(error) => Some(error.to_string()),
        }
    }
}
