//! Measures a run of the experiment. The baselines are a shell script of its commands, and runs
//! with another engine or fewer containers.

use std::collections::BTreeSet;
use std::{env, fs};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::commands::bench::environment::{BenchEnvironment, Side};
use crate::commands::bench::measurement::{BenchGroup, BenchRow, Limit, Unit};
use crate::engine::host;
use crate::process::invocation::{Invocation, Output, command_line};
use crate::process::labels::{RUN_LABEL, RunId};

pub(super) fn rows(environment: &BenchEnvironment<'_>) -> Result<Vec<BenchRow>> {
    let xtask = env::current_exe().context("cannot find the executable file of this program")?;
    let (xtask, key) = (xtask.to_string_lossy(), host::unused_key().to_string());
    let (report, script) = (environment.file("experiment.json"), environment.file("experiment.sh"));
    let command = |engine: &str, containers: u8| {
        let number = containers.to_string();
        let options = ["experiment", "--engine", engine, "--containers", &number, "--key", &key];
        let options = [&options[..], &["--format", "json", "--output", &report]].concat();
        Invocation::new(&xtask, options).cleans_up()
    };
    let seconds = |it: &Output| Some(it.duration.as_secs_f64());
    let twice = |it: &Output| Some(it.duration.as_secs_f64() * 2.0);
    let side = |of, command, value| Side { of, command, value };
    let mut rows = Vec::new();
    let mut row = |name: &str, needs: &[&str], max_pairs, ratio, sides: [Side; 2]| {
        let name = (BenchGroup::Experiment, name.to_owned(), Unit::Seconds);
        let (missing, target) = (environment.missing(needs), Some(Limit::Ratio(ratio)));
        rows.push(environment.row(name, missing, max_pairs, target, &sides)?);
        anyhow::Ok(())
    };

    if environment.docker.is_some() {
        environment.run(&command("docker", 2))?;
        let (text, containers) = replay(&fs::read_to_string(&report)?, &environment.run)
            .context("cannot read the report of a run")?;
        fs::write(&script, text)?;
        environment.record_containers(containers)?;
    }
    let script =
        side("script of its commands", Invocation::new("sh", [&script]).cleans_up(), seconds);
    let ours = side("experiment", command("docker", 2), seconds);
    row("the whole, on docker", &["docker"], 9, 0.8, [ours, script])?;
    let sides = ["namespaces", "docker"].map(|it| side(it, command(it, 2), seconds));
    row("the whole, on namespaces", &["docker", "unshare"], 9, 0.1, sides)?;
    for (engine, needs) in [("namespaces", "unshare"), ("docker", "docker")] {
        for containers in [4, 8, 16, 32, 64] {
            let ours = side("experiment", command(engine, containers), seconds);
            let other = side("twice that of half as many", command(engine, containers / 2), twice);
            // On docker, several pairs would take minutes.
            let max_pairs = if engine == "docker" && containers >= 32 { 1 } else { 3 };
            // Linear growth has the ratio 1; the limit allows some noise.
            let name = format!("{containers} containers, on {engine}");
            row(&name, &[needs], max_pairs, 1.1, [ours, other])?;
        }
    }
    Ok(rows)
}

/// Returns a shell script with the commands of a run, except the controls on the host, and the
/// names of its containers. The containers carry the id `run`. The script exits at the first
/// command whose exit status differs from the JSON report. On every exit it removes the containers.
///
/// # Errors
///
/// Fails if `report` is not the report of a run with containers.
pub fn replay(report: &str, run: &RunId) -> Result<(String, BTreeSet<String>)> {
    let report: Value = serde_json::from_str(report)?;
    let (mut commands, mut containers, mut id) = (vec![], BTreeSet::new(), None);
    for step in report["steps"].as_array().context("the report has no steps")? {
        let command: Vec<String> = serde_json::from_value(step["command"].clone())?;
        if command.is_empty() || (step["place"] == "host" && step["control_of"].is_string()) {
            continue;
        }
        containers.extend(command.iter().skip_while(|word| *word != "--name").nth(1).cloned());
        let of = |word: &String| word.strip_prefix(RUN_LABEL)?.strip_prefix('=').map(str::to_owned);
        id = id.or_else(|| command.iter().find_map(of));
        let status = step["exit_code"].as_i64().unwrap_or_default();
        commands.push(format!("{} || [ $? = {status} ]\n", command_line(&command)));
    }
    let names = containers.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let trap =
        format!("trap 'docker rm --force --volumes {names}' EXIT; trap 'exit 1' INT TERM HUP");
    let script = format!("exec >/dev/null 2>&1\nset -e\n{trap}\n{}", commands.concat());
    let id = id.context("no container has the label of a run")?;
    Ok((script.replace(&id, &run.to_string()), containers))
}
