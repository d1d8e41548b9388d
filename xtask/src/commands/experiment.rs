//! `cargo xtask experiment`: the article, carried out and checked.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use shm_core::Key;

use crate::commands::options::{ClusterArgs, EngineChoice, NodesArgs, TimeoutArgs};
use crate::commands::session::{Session, tools_for};
use crate::engine::discover::{self, Wanted};
use crate::engine::image::SCRATCH;
use crate::engine::{EngineKind, host};
use crate::judge::execution::{Concluded, execute};
use crate::judge::exit_code::Exit;
use crate::judge::host_segment::{self, Orphan};
use crate::judge::run::Event;
use crate::model::plan::Plan;
use crate::process::interrupt::Interrupt;
use crate::process::labels::random_number;
use crate::process::ledger::Ledger;
use crate::process::message::message;
use crate::process::name::{self, Name};
use crate::process::untrusted::json;
use crate::report::progress::Progress;
use crate::report::{Format, Report, output};
use crate::script::{Script, article};

/// The command line of `experiment`.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    /// Engine to use; auto takes docker if its daemon answers, else podman, else namespaces
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: EngineChoice,

    /// OCI runtime for docker and podman to use, such as runc, crun or runsc
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<Name<name::Runtime>>,

    /// Image to put the tools into; with any but scratch, bash is the container's process and the
    /// image's own ipcs lists, as in the article
    #[arg(long, value_name = "IMAGE", default_value = SCRATCH)]
    pub base: Name<name::Image>,

    /// The cluster, for --engine kubernetes.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Its nodes.
    #[command(flatten)]
    pub nodes: NodesArgs,

    /// Key of the segments, decimal or 0x hexadecimal; it must be unused on the host
    #[arg(long, value_name = "KEY", default_value_t = Key::DEFAULT, allow_hyphen_values = true)]
    pub key: Key,

    /// Containers, each with a text of its own; the article has two
    #[arg(long, value_name = "NUMBER", default_value = "2")]
    #[arg(value_parser = clap::value_parser!(u8).range(2..=64))]
    pub containers: u8,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// How long a step may take.
    #[command(flatten)]
    pub timeout: TimeoutArgs,

    /// Leave the containers for a look; `cargo xtask clean` removes them
    #[arg(long)]
    pub keep: bool,
}

impl ExperimentArgs {
    /// Whether it runs on nodes that were chosen, with a row for each in the report.
    #[must_use]
    pub fn is_on_nodes(&self) -> bool {
        !self.nodes.nodes.is_empty() && !self.nodes.show_manifests
    }

    /// Checks options that do not fit each other.
    ///
    /// # Errors
    ///
    /// Fails with the option to change.
    pub(crate) fn check(&self) -> Result<()> {
        let is_cluster = self.engine.kind().is_some_and(EngineKind::has_pods);
        if self.containers != 2 && is_cluster {
            bail!(
                "--containers are not pods: on a cluster there are two of them on each of its --nodes"
            );
        }
        if self.is_on_nodes() && !is_cluster {
            bail!("--nodes are those of a cluster: --engine kubernetes");
        }
        Ok(())
    }
}

/// Runs the experiment and writes the report.
///
/// # Errors
///
/// Where it could not be carried out, with the reason and the next step.
pub fn run(args: &ExperimentArgs, interrupt: &Interrupt) -> Result<Exit> {
    let interrupt = &args.timeout.limit(interrupt);
    let cluster = args.cluster.cluster();
    if args.nodes.show_manifests {
        let manifests = cluster.manifests();
        output::write(None, |out| json::write_pretty(out, &manifests))?;
        return Ok(Exit::AsPredicted);
    }
    args.check()?;
    output::check(args.output.as_deref())?;
    let progress = Progress::start("looking for an engine");
    let found = discover::find(&Wanted {
        kind: args.engine.kind(),
        runtime: args.runtime.as_ref(),
        cluster: &cluster,
        base: &args.base,
        interrupt,
    })?;
    let kind = found.info.name;
    if kind.is_local() {
        host::ensure_unused(args.key)?;
    }
    progress.say("building the tools");
    let ledger = Ledger::default();
    let dist = tools_for(&[kind], interrupt)?;
    let session = Session::open(found, &dist, &args.base, &ledger, interrupt)?;
    let script = script(args, kind);
    let plan = Plan::new(script, session.info.rules())?;
    let engine = session.engine(plan.script.objects, None);
    if kind.is_local() {
        host_segment::record(&plan.script, &ledger)?;
    }
    progress.count(plan.len());
    let mut tell = |event: Event<'_>| progress.tell(&event);
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
        message("note: the containers are left; cargo xtask clean removes them");
    }
    let Concluded { steps, duration, error, removed } = execution.conclude()?;
    if let Some(error) = error {
        if interrupt.signal().is_some() && !args.keep {
            let things = if removed == 1 { "container" } else { "containers" };
            message(format_args!("cleaned up: {removed} {things} removed"));
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

/// The article's script for an engine of this kind.
fn script(args: &ExperimentArgs, kind: EngineKind) -> Script {
    // The model answers from maps: its report is the same each time.
    let fresh =
        if kind.is_real() { format!("{:016x}", random_number()) } else { "fresh".to_owned() };
    if kind.has_pods() {
        return article::on_a_cluster(args.key, &fresh);
    }
    let more = &article::CONTAINERS[2..usize::from(args.containers)];
    let mut script = article::script(args.key, more, &fresh);
    if kind.is_local() {
        // Other runs may have the same key.
        script.objects.host_control = host::unused_key();
    }
    script
}
