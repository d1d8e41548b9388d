//! A run of the experiment as a shell script: the same commands, one after another.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::invocation::command_line;
use crate::process::labels::{RUN_LABEL, RunId};

/// A report of a run, as far as it matters.
#[derive(Deserialize)]
struct Report {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    command: Vec<String>,
    exit_code: Option<i32>,
}

/// A script.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// For `sh`.
    pub text: String,
    /// How many of its commands are docker's.
    pub client_starts: usize,
    /// The containers that it makes and removes.
    pub containers: BTreeSet<String>,
    /// The run whose id they carry.
    pub run: Option<RunId>,
}

/// Returns a script with the docker commands of a JSON report. The script ends at the first command whose
/// status differs from the report. At its end it removes the containers and the controls' segments.
///
/// # Errors
///
/// Where it is no report.
pub fn script(report: &str) -> Result<Script> {
    let Report { steps } = serde_json::from_str(report).context("it is not as expected")?;
    let mut lines = vec!["exec >/dev/null 2>&1".to_owned(), "set -e".to_owned()];
    let (mut containers, mut removals) = (BTreeSet::new(), vec![]);
    let (mut client_starts, mut run) = (0, None);
    for Step { command, exit_code } in steps {
        let Some(program) = command.first() else { continue };
        client_starts += usize::from(program == "docker");
        let mut words = command.iter();
        if words.any(|it| it == "--name") {
            containers.extend(words.next().cloned());
        }
        let id = command.iter().find_map(|word| word.strip_prefix(RUN_LABEL)?.strip_prefix('='));
        run = run.or(id.and_then(|id| RunId::try_from(id.to_owned()).ok()));
        let status = exit_code.unwrap_or_default();
        lines.push(format!("{} || [ $? = {status} ]", command_line(&command)));
        removals.extend(removal(&command));
    }
    if !containers.is_empty() {
        let remove = ["docker", "rm", "--force", "--volumes"].map(str::to_owned).into_iter();
        removals.push(command_line(&remove.chain(containers.iter().cloned()).collect::<Vec<_>>()));
        client_starts += 1;
    }
    if !removals.is_empty() {
        // At the end, however it comes.
        let remove = removals.join("; ");
        lines.insert(2, format!("trap '{remove}' EXIT; trap 'exit 1' INT TERM HUP"));
    }
    Ok(Script { text: lines.join("\n") + "\n", client_starts, containers, run })
}

/// What removes the segment that a writer on the host has made, if the command is one.
fn removal(command: &[String]) -> Option<String> {
    let (program, args) = command.split_first()?;
    let (_, options) = args.split_last()?;
    let makes = program.ends_with("/shm_wr") && options.iter().any(|it| it == "--create-new");
    let address = options.iter().filter(|it| *it != "--create-new" && *it != "--json").cloned();
    let remove = [program.clone()].into_iter().chain(address).chain(["--remove".to_owned()]);
    makes.then(|| command_line(&remove.collect::<Vec<_>>()))
}
