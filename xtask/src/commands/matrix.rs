//! `cargo xtask matrix`: every mechanism, sharing mode and event, held to the model.

use std::num::NonZero;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use shm_core::Key;

use crate::commands::matrix::jobs::Jobs;
use crate::commands::options::{ClusterArgs, EngineChoice, TimeoutArgs};
use crate::commands::session::{Session, tools_for};
use crate::engine::cleanup::CleanUp;
use crate::engine::discover::{self, Wanted};
use crate::engine::image::SCRATCH;
use crate::engine::{EngineKind, host};
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;
use crate::process::labels::random_number;
use crate::process::ledger::Ledger;
use crate::process::name::{self, Name};
use crate::process::untrusted::Untrusted;
use crate::report::matrix::Matrix;
use crate::report::progress::Progress;
use crate::report::{Format, output};
use crate::script::matrix::{Cell, Group, World, groups};

mod jobs;

/// The command line of `matrix`.
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// Engine to use; auto takes docker if its daemon answers, else podman, else namespaces. Several
    /// go into one report
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: Vec<EngineChoice>,

    /// OCI runtime for docker and podman to use, such as runc, crun or runsc
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<Name<name::Runtime>>,

    /// Only these cells: mechanism/sharing/event/observer; * stands for any, and the end may be
    /// left out
    #[arg(long, value_name = "PATTERN")]
    pub only: Option<String>,

    /// Print the names of the cells and run nothing
    #[arg(long)]
    pub list: bool,

    /// Scripts to carry out at the same time
    #[arg(long, value_name = "NUMBER", default_value = "3")]
    pub jobs: NonZero<usize>,

    /// How often to carry out each script; a cell that does not always answer the same is unstable
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub repeat: NonZero<usize>,

    /// How long a step may take.
    #[command(flatten)]
    pub timeout: TimeoutArgs,

    /// The cluster, for --engine kubernetes.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs the matrix and writes the report.
///
/// # Errors
///
/// Where it could not be carried out, with the reason and the next step.
pub fn run(args: &MatrixArgs, interrupt: &Interrupt) -> Result<Exit> {
    let interrupt = &args.timeout.limit(interrupt);
    let world = world(args)?;
    if args.list {
        let groups = selected(groups(world, Key::default, ""), args.only.as_deref())?;
        let mut cells = groups.iter().flat_map(|group| &group.questions);
        output::write(None, |out| cells.try_for_each(|asked| writeln!(out, "{}", asked.cell)))?;
        return Ok(Exit::AsPredicted);
    }
    let text = format!("{:016x}", random_number());
    let groups = selected(groups(world, host::unused_key, &text), args.only.as_deref())?;
    output::check(args.output.as_deref())?;
    let progress = Progress::start("looking for an engine");
    let ledger = Ledger::default();
    let sessions = sessions(args, &ledger, interrupt, &progress)?;
    let shared = match world {
        World::Containers => Some(jobs::Shared::prepare(&groups, &text, &ledger)?),
        World::Pods => None,
    };
    let jobs = Jobs {
        groups: &groups,
        volume: shared.as_ref().map(|shared| shared.volume.path()),
        at_once: args.jobs.get(),
        repeat: args.repeat.get(),
        interrupt,
    };
    progress.count_groups(groups.len() * sessions.len());
    let left = jobs::may_leave(groups.iter().filter(|group| group.writes_on_a_node()), &text);
    let mut errors = Vec::new();
    let grids = sessions.iter().map(|session| {
        let ground = session.ground();
        let clean_up = ground.map(|ground| CleanUp::new(ground, true));
        ground.map_or(Ok(()), |ground| ground.prepare(&left))?;
        let grid = jobs.on(session, &progress);
        errors.extend(clean_up.and_then(|clean_up| clean_up.now().err()));
        grid
    });
    let grids = grids.collect::<Result<_>>();
    progress.end();
    let matrix = Matrix { grids: grids? };
    output::write(args.output.as_deref(), |out| matrix.write(args.format, out))?;
    // What was found out is told, whatever is left.
    if let Some(left) = errors.pop() {
        return Err(left.into());
    }
    Ok(if matrix.passed() { Exit::AsPredicted } else { Exit::Differs })
}

/// Pods and containers are asked about different things.
fn world(args: &MatrixArgs) -> Result<World> {
    let kinds: Vec<_> = args.engine.iter().map(|engine| engine.kind()).collect();
    if !kinds.iter().flatten().any(|kind| kind.has_pods()) {
        return Ok(World::Containers);
    }
    let of_pods = |kind: &Option<EngineKind>| kind.is_some_and(|it| it.has_pods() || !it.is_real());
    if !kinds.iter().all(of_pods) {
        bail!("--engine kubernetes asks about pods, the others about containers: a report each");
    }
    Ok(World::Pods)
}

/// All engines that are wanted; that one cannot be used is known before any is.
fn sessions(
    args: &MatrixArgs,
    ledger: &Ledger,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Vec<Session>> {
    let cluster = args.cluster.cluster();
    let mut found = Vec::new();
    for engine in &args.engine {
        let (kind, runtime) = (engine.kind(), args.runtime.as_ref());
        found.push(discover::find(&Wanted {
            kind,
            runtime,
            cluster: &cluster,
            base: SCRATCH,
            interrupt,
        })?);
    }
    progress.say("building the tools");
    let kinds: Vec<_> = found.iter().map(|it| it.info.name).collect();
    let dist = tools_for(&kinds, interrupt)?;
    let open = |found| Session::open(found, &dist, SCRATCH, ledger, interrupt);
    found.into_iter().map(open).collect()
}

/// The groups with the cells that `pattern` selects: `mechanism/sharing/event/observer`, where `*`
/// stands for any and parts may be missing at the end.
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
        bail!("--only {pattern} selects no cell; next step: see cargo xtask matrix --list");
    }
    Ok(groups)
}
