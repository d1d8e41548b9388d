//! `cargo xtask experiment --nodes`: runs the experiment on several nodes of a cluster in parallel.

use std::convert::Infallible;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::commands::experiment::ExperimentArgs;
use crate::commands::session::remote_tools;
use crate::engine::cleanup::CleanUp;
use crate::engine::discover::{self, Query};
use crate::engine::image::SCRATCH;
use crate::engine::kubernetes::Kubernetes;
use crate::engine::kubernetes::nodes::Node;
use crate::engine::{Engine, EngineError, EngineKind, FailureKind};
use crate::judge::execution::execute;
use crate::judge::exit_code::Exit;
use crate::judge::run::RunError;
use crate::model::plan::Plan;
use crate::process::interrupt::Interrupt;
use crate::process::labels::random_number;
use crate::process::ledger::Ledger;
use crate::process::name::{CheckedName, Subdomain};
use crate::process::parallel;
use crate::report::nodes::{NodeOutcome, NodeResult, NodesReport};
use crate::report::progress::ProgressLine;
use crate::report::{Report, output};
use crate::script::article;

/// Runs the experiment on each selected node and writes the report, one row per node.
pub(crate) fn run(args: &ExperimentArgs, interrupt: &Interrupt) -> Result<Exit> {
    args.check()?;
    let interrupt = &args.timeout.limit(interrupt);
    let cluster = &args.cluster;
    output::check(args.output.as_deref())?;
    let progress = ProgressLine::start("looking for the cluster");
    let kind = Some(EngineKind::Kubernetes);
    let ledger = &Ledger::default();
    let wanted = Query { kind, runtime: None, cluster, base: SCRATCH, ledger, interrupt };
    let found = discover::find(&wanted)?;
    let nodes = select(cluster.nodes(interrupt)?, &args.nodes.nodes)?;
    let started = Instant::now();
    // The parent makes the namespace that all runs use.
    let tools = remote_tools(args.key, ledger, interrupt);
    let parent = Kubernetes::new(found.info.clone(), cluster.clone(), tools);
    let clean_up = CleanUp::new(&parent, !args.keep);
    parent.make_namespace()?;
    let runs = Runs { args, parent: &parent, ledger, interrupt };
    progress.count_groups(nodes.len());
    let results = runs.on_all(&nodes, args.nodes.jobs.get(), &progress);
    progress.show("cleaning up");
    let cleaned = clean_up.now();
    progress.end();
    if let Some(signal) = interrupt.name() {
        cleaned.context("interrupted")?;
        bail!("interrupted by {signal}; if something is left, cargo xtask clean removes it");
    }
    let report = NodesReport { engine: found.info, duration: started.elapsed(), nodes: results };
    output::write(args.output.as_deref(), |out| report.write(args.format, out))?;
    // Report an error of the cleanup after the results.
    cleaned?;
    Ok(report.exit())
}

/// Returns the nodes with the wanted names; `all` selects every node.
fn select(nodes: Vec<Node>, wanted: &[CheckedName<Subdomain>]) -> Result<Vec<Node>> {
    if wanted.iter().any(|name| **name == *"all") {
        return Ok(nodes);
    }
    if let Some(missing) = wanted.iter().find(|name| !nodes.iter().any(|it| it.name == **name)) {
        bail!("there is no node {missing}\nnext step: list them with kubectl get nodes");
    }
    Ok(nodes.into_iter().filter(|node| wanted.contains(&node.name)).collect())
}

/// The data that the runs on all nodes share.
struct Runs<'a> {
    args: &'a ExperimentArgs,
    parent: &'a Kubernetes,
    ledger: &'a Ledger,
    interrupt: &'a Interrupt,
}

impl Runs<'_> {
    /// Runs on `at_once` nodes in parallel. Returns the results in the nodes' order.
    fn on_all(&self, nodes: &[Node], at_once: usize, progress: &ProgressLine) -> Vec<NodeResult> {
        let Ok(results) = parallel::each(nodes, at_once, self.interrupt, |node| {
            let started = Instant::now();
            let outcome = self.run_on(node);
            progress.group_done(&node.name);
            let duration = started.elapsed();
            Ok::<_, Infallible>(NodeResult { node: node.clone(), duration, outcome })
        });
        results
    }

    fn run_on(&self, node: &Node) -> NodeOutcome {
        if let Some(why) = &node.unfit {
            return NodeOutcome::Skipped(why.to_string());
        }
        match self.report(node) {
            Ok(report) => NodeOutcome::Judged(Box::new(report)),
            Err(error) if is_out_of_capacity(&error) => {
                NodeOutcome::Skipped(format!("out of capacity: {error:#}"))
            }
            Err(error) => NodeOutcome::Failed(format!("{error:#}")),
        }
    }

    fn report(&self, node: &Node) -> Result<Report> {
        let rules = self.parent.info().rules();
        let fresh = format!("{:016x}", random_number());
        let plan = Plan::new(article::on_a_cluster(self.args.key, &fresh), rules)?;
        let tools = remote_tools(self.args.key, self.ledger, self.interrupt);
        let engine = self.parent.run_on(node, tools);
        let keep = self.args.keep;
        let execution = execute(&plan, &engine, self.interrupt, keep, &mut |_| {});
        if let (_, Some(error)) = execution.ended? {
            return Err(error.into());
        }
        let base = self.args.cluster.image.as_deref().unwrap_or_default().to_owned();
        Ok(Report::new(engine.info().clone(), base, &plan, execution.steps, execution.duration))
    }
}

/// Returns whether the node had no capacity for a pod of the run.
fn is_out_of_capacity(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<RunError>());
    let mut causes = causes.map(|error| &*error.cause);
    causes.any(|it| {
        matches!(it, EngineError::PodFailed { why, .. } if why.kind == FailureKind::OutOfCapacity)
    })
}
