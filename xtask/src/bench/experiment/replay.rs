//! A run of the experiment as a shell script: the same commands, one after another.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::invocation::command_line;
use crate::ledger::{OWNER_LABEL, Owner};

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
}

/// The commands of a run on docker, by its JSON report, and one that removes the containers. What they
/// make is labelled as the owner's, who lives: `cargo xtask clean` leaves it alone. A command that ends
/// otherwise than it did in the run ends the script.
///
/// # Errors
///
/// Where it is no report.
pub fn script(report: &str, owner: &Owner) -> Result<Script> {
    let Report { steps } = serde_json::from_str(report).context("it is not as expected")?;
    let (label, owner) = (format!("{OWNER_LABEL}="), format!("{OWNER_LABEL}={owner}"));
    let mut lines = vec!["exec >/dev/null 2>&1".to_owned(), "set -e".to_owned()];
    let (mut containers, mut client_starts) = (BTreeSet::new(), 0);
    for Step { command, exit_code } in steps {
        let Some(program) = command.first() else { continue };
        client_starts += usize::from(program == "docker");
        let mut words = command.iter();
        if words.any(|it| it == "--name") {
            containers.extend(words.next().cloned());
        }
        let own = |word: &String| {
            if word.starts_with(&label) { owner.clone() } else { word.clone() }
        };
        let command: Vec<_> = command.iter().map(own).collect();
        let status = exit_code.unwrap_or_default();
        lines.push(format!("{} || [ $? = {status} ]", command_line(&command)));
    }
    if !containers.is_empty() {
        let remove = ["docker", "rm", "--force", "--volumes"].map(str::to_owned).into_iter();
        let remove = command_line(&remove.chain(containers).collect::<Vec<_>>());
        // At the end, however it comes.
        lines.insert(2, format!("trap '{remove}' EXIT; trap 'exit 1' INT TERM HUP"));
        client_starts += 1;
    }
    Ok(Script { text: lines.join("\n") + "\n", client_starts })
}
