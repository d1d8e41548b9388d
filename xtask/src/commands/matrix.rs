//! `cargo xtask matrix`: tests every mechanism, sharing mode, event and observer against the model.

use std::num::NonZero;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use shm_cli::DEFAULT_KEY;

use crate::commands::failure;
use crate::commands::matrix::jobs::Jobs;
use crate::commands::options::{EngineChoice, TimeoutArgs};
use crate::commands::session::{Session, tools_for};
use crate::engine::cleanup::CleanUp;
use crate::engine::discover::{self, Query};
use crate::engine::image::SCRATCH;
use crate::engine::kubernetes::Cluster;
use crate::engine::{EngineKind, host};
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;
use crate::process::labels::random_number;
use crate::process::ledger::Ledger;
use crate::process::message;
use crate::process::name::{self, CheckedName};
use crate::process::untrusted::Untrusted;
use crate::report::matrix::Matrix;
use crate::report::progress::ProgressLine;
use crate::report::{Format, output};
use crate::script::matrix::{Cell, Group, World, groups};

mod jobs;

/// The command line of `matrix`.
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// Engine to use; auto takes docker if it runs a container, else podman, else namespaces. Repeat
    /// the option to have several engines in one report
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: Vec<EngineChoice>,

    /// OCI runtime for docker and podman to use, such as runc, crun or runsc
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<CheckedName<name::Runtime>>,

    /// Run only these cells: mechanism/sharing/event/observer; * matches any value, and parts at
    /// the end may be omitted
    #[arg(long, value_name = "PATTERN")]
    pub only: Option<String>,

    /// Print the names of the cells and run nothing
    #[arg(long)]
    pub list: bool,

    /// Number of scripts to run in parallel
    #[arg(long, value_name = "NUMBER", default_value = "3")]
    pub jobs: NonZero<usize>,

    /// Number of runs of each script; a cell whose runs have different results is unstable
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub repeat: NonZero<usize>,

    /// The time limit.
    #[command(flatten)]
    pub timeout: TimeoutArgs,

    /// Options for --engine kubernetes.
    #[command(flatten)]
    pub cluster: Cluster,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs the matrix and writes the report.
pub(crate) fn run(args: &MatrixArgs, interrupt: &Interrupt) -> Result<Exit> {
    let interrupt = &args.timeout.limit(interrupt);
    let world = world(args)?;
    if args.list {
        let groups = selected(groups(world, || DEFAULT_KEY, ""), args.only.as_deref())?;
        let mut cells = groups.iter().flat_map(|group| &group.questions);
        output::write(None, |out| cells.try_for_each(|asked| writeln!(out, "{}", asked.cell)))?;
        return Ok(Exit::AsPredicted);
    }
    let text = format!("{:016x}", random_number());
    let groups = selected(groups(world, host::unused_key, &text), args.only.as_deref())?;
    output::check(args.output.as_deref())?;
    let progress = ProgressLine::start("looking for an engine");
    let ledger = Ledger::default();
    let sessions = sessions(args, &ledger, interrupt, &progress)?;
    let shared = match world {
        World::Containers => Some(jobs::SharedState::prepare(&groups, &text, &ledger)?),
        World::Pods => None,
    };
    let jobs = Jobs {
        groups: &groups,
        volume: shared.as_ref().map(|shared| &*shared.volume.shared),
        at_once: args.jobs.get(),
        repeat: args.repeat.get(),
        interrupt,
    };
    progress.count_groups(groups.len() * sessions.len());
    let left =
        jobs::leftover_manifest(groups.iter().filter(|group| group.writes_on_a_node()), &text);
    let mut errors = Vec::new();
    let grids = sessions.iter().map(|session| {
        let cluster = session.cluster();
        let clean_up = cluster.map(|cluster| CleanUp::new(cluster, true));
        cluster.map_or(Ok(()), |cluster| cluster.prepare(&left))?;
        let grid = jobs.run_on(session, &progress);
        let cleaned = clean_up.map_or(Ok(0), CleanUp::now);
        errors.extend(cleaned.map_err(anyhow::Error::from).err());
        grid
    });
    let grids = grids.collect::<Result<Vec<_>>>();
    progress.end();
    let exit = grids.and_then(|grids| {
        let matrix = Matrix { grids };
        output::write(args.output.as_deref(), |out| matrix.write(args.format, out))?;
        Ok(if matrix.passed() { Exit::AsPredicted } else { Exit::Differs })
    });
    // Report errors of the cleanup after the results, or after the error of the run.
    let Some(last) = errors.pop() else { return exit };
    for error in exit.err().into_iter().chain(errors) {
        message(format_args!("error: {}", failure::message(&error)));
    }
    Err(last)
}

/// Returns which cells to run: those of pods or those of containers.
fn world(args: &MatrixArgs) -> Result<World> {
    let kinds: Vec<_> = args.engine.iter().map(|engine| engine.0).collect();
    if !kinds.iter().flatten().any(|kind| kind.has_pods()) {
        return Ok(World::Containers);
    }
    let of_pods = |kind: &Option<EngineKind>| kind.is_some_and(|it| it.has_pods() || !it.is_real());
    if !kinds.iter().all(of_pods) {
        bail!(
            "--engine kubernetes tests pods, others test containers\n\
             next step: run one command for each"
        );
    }
    Ok(World::Pods)
}

/// Opens the selected engines. Detects all of them first, so that an unusable one fails early.
fn sessions(
    args: &MatrixArgs,
    ledger: &Ledger,
    interrupt: &Interrupt,
    progress: &ProgressLine,
) -> Result<Vec<Session>> {
    let mut found = Vec::new();
    for &EngineChoice(kind) in &args.engine {
        let (runtime, cluster) = (args.runtime.as_ref(), &args.cluster);
        let wanted = Query { kind, runtime, cluster, base: SCRATCH, ledger, interrupt };
        found.push(discover::find(&wanted)?);
    }
    progress.show("building the tools");
    let kinds: Vec<_> = found.iter().map(|it| it.info.name).collect();
    let dist = tools_for(&kinds, interrupt)?;
    let open = |found| Session::open(found, &dist, SCRATCH, ledger, interrupt);
    found.into_iter().map(open).collect()
}

/// Returns the groups with only the cells that `pattern` selects. A pattern has the form
/// `mechanism/sharing/event/observer`; `*` matches any value, and parts at the end may be omitted.
fn selected(groups: Vec<Group>, pattern: Option<&str>) -> Result<Vec<Group>> {
    let Some(pattern) = pattern else { return Ok(groups) };
    let selects = |cell: &Cell| {
        let name = cell.to_string();
        let mut parts = name.split('/');
        pattern
            .split('/')
            .all(|wanted| parts.next().is_some_and(|it| wanted == "*" || wanted == it))
    };
    let narrow = |mut group: Group| {
        group.questions.retain(|question| selects(&question.cell));
        (!group.questions.is_empty()).then_some(group)
    };
    let groups: Vec<_> = groups.into_iter().filter_map(narrow).collect();
    if groups.is_empty() {
        let pattern = Untrusted::from(pattern);
        bail!(
            "--only {pattern} selects no cell\nnext step: choose from cargo xtask matrix --list \
             (for pods, add --engine kubernetes)"
        );
    }
    Ok(groups)
}
