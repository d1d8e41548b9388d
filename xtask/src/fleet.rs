//! `cargo xtask experiment --nodes`: the article on many nodes of a cluster at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cli::ExperimentArgs;
use crate::dist::Dist;
use crate::engine::clean_up::CleanUp;
use crate::engine::discover::{self, Wanted};
use crate::engine::image::SCRATCH;
use crate::engine::kubernetes::nodes::Node;
use crate::engine::kubernetes::{Cluster, Kubernetes};
use crate::engine::tool::Tools;
use crate::engine::{Engine, EngineInfo, EngineKind};
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::fleet::{Fleet, NodeResult, Outcome};
use crate::report::{Report, output};
use crate::run;
use crate::script::{Objects, article};

/// Runs the experiment on every node that is wanted and writes the report, a row a node.
///
/// # Errors
///
/// Where it could not be carried out at all, with the reason and the next step.
pub fn run(
    args: &ExperimentArgs,
    wanted: &[String],
    cluster: &Cluster,
    interrupt: &Interrupt,
) -> Result<Exit> {
    output::check(args.output.as_deref())?;
    let progress = Progress::start("looking for the cluster");
    let kind = Some(EngineKind::Kubernetes);
    let (cluster_of, base) = (Some(cluster), SCRATCH);
    let wanted_engine = Wanted { kind, runtime: None, cluster: cluster_of, base, interrupt };
    let found = discover::find(&wanted_engine)?;
    let nodes = chosen(cluster.nodes(interrupt)?, wanted)?;
    let started = Instant::now();
    // One namespace for all, as that of one run more.
    let parent = Kubernetes::new(found.info.clone(), cluster.clone(), tools(args, interrupt));
    let clean_up = CleanUp::new(&parent, !args.keep);
    parent.make_namespace()?;
    let shared = Cluster { namespace: Some(parent.namespace()), ..cluster.clone() };
    let runs = Runs { args, info: &found.info, cluster: &shared, interrupt };
    progress.count_groups(nodes.len());
    let results = runs.on_all(&nodes, args.cluster.jobs.get(), &progress);
    progress.say("cleaning up");
    let cleaned = clean_up.now();
    progress.end();
    if let Some(signal) = interrupt.name() {
        cleaned.context("interrupted")?;
        bail!("interrupted by {signal}; what was made has been removed");
    }
    cleaned?;
    let fleet = Fleet { engine: found.info, duration: started.elapsed(), nodes: results };
    output::write(args.output.as_deref(), |out| fleet.write(args.format, out))?;
    Ok(fleet.exit())
}

/// Nothing is run on this machine, so that whatever is in dist/ will do.
fn tools(args: &ExperimentArgs, interrupt: &Interrupt) -> Tools {
    let (dist, objects) = (Dist::as_it_is(), Objects::from(args.key));
    Tools { dist, objects, volume: None, interrupt: interrupt.clone() }
}

/// The nodes that are wanted, by name, or all of them.
fn chosen(nodes: Vec<Node>, wanted: &[String]) -> Result<Vec<Node>> {
    if wanted.iter().any(|name| name == "all") {
        return Ok(nodes);
    }
    if let Some(missing) = wanted.iter().find(|name| !nodes.iter().any(|it| it.name == **name)) {
        bail!("there is no node {missing}; next step: see kubectl get nodes");
    }
    Ok(nodes.into_iter().filter(|node| wanted.contains(&node.name)).collect())
}

/// What the runs on the nodes have in common.
struct Runs<'a> {
    args: &'a ExperimentArgs,
    info: &'a EngineInfo,
    cluster: &'a Cluster,
    interrupt: &'a Interrupt,
}

impl Runs<'_> {
    /// One run a node, several at a time; the results in the nodes' order.
    fn on_all(&self, nodes: &[Node], at_once: usize, progress: &Progress) -> Vec<NodeResult> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::with_capacity(nodes.len()));
        thread::scope(|scope| {
            for _ in 0..at_once.clamp(1, nodes.len().max(1)) {
                scope.spawn(|| {
                    while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed))
                        && let Some(node) = nodes.get(index)
                        && self.interrupt.signal().is_none()
                    {
                        let started = Instant::now();
                        let outcome = self.on(node);
                        let (node, duration) = (node.clone(), started.elapsed());
                        progress.group_done(&node.name);
                        let result = NodeResult { node, duration, outcome };
                        results
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push((index, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    fn on(&self, node: &Node) -> Outcome {
        if let Some(why) = &node.unfit {
            return Outcome::Skipped(why.clone());
        }
        match self.report(node) {
            Ok(report) => Outcome::Judged(Box::new(report)),
            // The kubelet has no room for a pod that was given to it.
            Err(error) if format!("{error:#}").contains(": OutOf") => {
                Outcome::Skipped(format!("full: {error:#}"))
            }
            Err(error) => Outcome::Failed(format!("{error:#}")),
        }
    }

    fn report(&self, node: &Node) -> Result<Report> {
        let cluster = Cluster { node: Some(node.name.clone()), ..self.cluster.clone() };
        let info = EngineInfo { kernel: node.kernel.clone(), ..self.info.clone() };
        let plan = Plan::new(article::on_a_cluster(self.args.key), info.rules())?;
        let engine = Kubernetes::new(info, cluster, tools(self.args, self.interrupt));
        let clean_up = CleanUp::new(&engine, !self.args.keep);
        let (mut steps, started) = (Vec::with_capacity(plan.len()), Instant::now());
        let finished = run::run(&plan, &engine, self.interrupt, &mut steps, &mut |_| {});
        let duration = started.elapsed();
        let cleaned = clean_up.now();
        finished?;
        cleaned?;
        let base = self.cluster.image.clone().unwrap_or_default();
        Ok(Report::new(engine.info().clone(), base, &plan, steps, duration))
    }
}
