//! `cargo xtask experiment`: runs the article's experiment and checks each step.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use shm_cli::DEFAULT_KEY;
use shm_core::Key;

use crate::commands::options::{EngineChoice, NodesArgs, TimeoutArgs};
use crate::commands::session::{Session, tools_for};
use crate::engine::discover::{self, Query};
use crate::engine::image::SCRATCH;
use crate::engine::kubernetes::Cluster;
use crate::engine::{EngineKind, host};
use crate::judge::execution::{Execution, execute};
use crate::judge::exit_code::Exit;
use crate::judge::host_segment::{self, Orphan};
use crate::judge::run::RunEvent;
use crate::model::plan::Plan;
use crate::process::interrupt::Interrupt;
use crate::process::labels::random_number;
use crate::process::ledger::Ledger;
use crate::process::message;
use crate::process::name::{self, CheckedName};
use crate::process::untrusted::json;
use crate::report::progress::ProgressLine;
use crate::report::{Format, Report, output};
use crate::script::{Script, article};

/// The command line of `experiment`.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    /// Engine to use; auto takes docker if it runs a container, else podman, else namespaces
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: EngineChoice,

    /// OCI runtime for docker and podman to use, such as runc, crun or runsc
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<CheckedName<name::Runtime>>,

    /// Base image for the tools; with any base but scratch, the container's process is bash and the
    /// base's own ipcs makes the listings, as in the article
    #[arg(long, value_name = "IMAGE", default_value = SCRATCH)]
    pub base: CheckedName<name::Image>,

    /// Options for --engine kubernetes.
    #[command(flatten)]
    pub cluster: Cluster,

    /// Options for the nodes of the cluster.
    #[command(flatten)]
    pub nodes: NodesArgs,

    /// Key of the segments, decimal or 0x hexadecimal; it must be unused on the host
    #[arg(long, value_name = "KEY", default_value_t = DEFAULT_KEY, allow_hyphen_values = true)]
    pub key: Key,

    /// Number of containers, each with its own text; the article has two
    #[arg(long, value_name = "NUMBER", default_value = "2")]
    #[arg(value_parser = clap::value_parser!(u8).range(2..=64))]
    pub containers: u8,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The time limit.
    #[command(flatten)]
    pub timeout: TimeoutArgs,

    /// Keep the containers for inspection; `cargo xtask clean` removes them
    #[arg(long)]
    pub keep: bool,
}

impl ExperimentArgs {
    /// Returns whether `--nodes` selects nodes to run on. The report then has one row per node.
    pub(crate) fn is_on_nodes(&self) -> bool {
        !self.nodes.nodes.is_empty() && !self.nodes.show_manifests
    }

    /// Checks that the options fit together. Otherwise the error names the option to change.
    pub(crate) fn check(&self) -> Result<()> {
        let is_cluster = self.engine.0.is_some_and(EngineKind::has_pods);
        if self.containers != 2 && is_cluster {
            bail!(
                "--containers does not apply to a cluster, where a node has two pods\n\
                 next step: leave it out"
            );
        }
        if self.is_on_nodes() && !is_cluster {
            bail!("--nodes needs a cluster\nnext step: add --engine kubernetes");
        }
        Ok(())
    }
}

/// Runs the experiment and writes the report.
pub(crate) fn run(args: &ExperimentArgs, interrupt: &Interrupt) -> Result<Exit> {
    let interrupt = &args.timeout.limit(interrupt);
    if args.nodes.show_manifests {
        let manifests = args.cluster.manifests();
        output::write(None, |out| json::write_pretty(out, &manifests))?;
        return Ok(Exit::AsPredicted);
    }
    args.check()?;
    output::check(args.output.as_deref())?;
    let progress = ProgressLine::start("looking for an engine");
    let ledger = Ledger::default();
    let found = discover::find(&Query {
        kind: args.engine.0,
        runtime: args.runtime.as_ref(),
        cluster: &args.cluster,
        base: &args.base,
        ledger: &ledger,
        interrupt,
    })?;
    let kind = found.info.name;
    if kind.is_local() {
        host::ensure_unused(args.key)?;
    }
    progress.show("building the tools");
    let dist = tools_for(&[kind], interrupt)?;
    let session = Session::open(found, &dist, &args.base, &ledger, interrupt)?;
    let script = script(args, kind);
    let plan = Plan::new(script, session.info.rules())?;
    let engine = session.engine(plan.script.objects, None);
    if kind.is_local() {
        host_segment::record(&plan.script, &ledger)?;
    }
    progress.count(plan.steps().count());
    let mut tell = |event: RunEvent<'_>| progress.tell(&event);
    let execution = execute(&plan, &*engine, interrupt, args.keep, &mut tell);
    let stray = kind
        .is_local()
        .then(|| host_segment::remove(&plan.script, &execution.steps, &ledger))
        .flatten();
    progress.end();

    if let Some(Orphan::Removed(note) | Orphan::Stays(note)) = &stray {
        message(format_args!("note: {note}"));
    }
    if args.keep && kind.is_real() {
        message("note: the containers are kept; cargo xtask clean removes them");
    }
    let Execution { steps, duration, ended } = execution;
    let (removed, error) = ended?;
    if let Some(error) = error {
        if interrupt.signal().is_some() && !args.keep {
            let thing = if kind.has_pods() { "pod" } else { "container" };
            let plural = if removed == 1 { "" } else { "s" };
            message(format_args!("cleaned up: removed {removed} {thing}{plural}"));
        }
        return Err(error.into());
    }
    let (info, base) = (engine.info().clone(), args.base.to_string());
    let mut report = Report::new(info, base, &plan, steps, duration);
    if let Some(Orphan::Removed(_)) = stray {
        report.contradict_host_isolation();
    }
    output::write(args.output.as_deref(), |out| report.write(args.format, out))?;
    Ok(if report.passed() { Exit::AsPredicted } else { Exit::Differs })
}

/// Returns the article's script for an engine of this kind.
fn script(args: &ExperimentArgs, kind: EngineKind) -> Script {
    // With a fixed text, the report of the model is the same each time.
    let fresh =
        if kind.is_real() { format!("{:016x}", random_number()) } else { "fresh".to_owned() };
    if kind.has_pods() {
        return article::on_a_cluster(args.key, &fresh);
    }
    let more = &article::CONTAINERS[2..usize::from(args.containers)];
    let mut script = article::script(args.key, more, &fresh);
    if kind.is_local() {
        // A random key avoids conflicts with other runs.
        script.objects.host_control = host::unused_key();
    }
    script
}
