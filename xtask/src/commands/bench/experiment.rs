//! What the experiment's time goes into: beside a shell script of its own commands, on plain
//! namespaces, without the engine, and with many containers.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::commands::bench::measurement::{
    Comparison, Group, Measurement, Row, Spread, Target, Unit,
};
use crate::commands::bench::workplace::Workplace;
use crate::commands::bench::{pairs, peers};
use crate::engine::docker::client;
use crate::engine::{EngineKind, host};
use crate::process::invocation::{Invocation, program};
use crate::process::ledger::Entry;

pub mod replay;
pub mod waiting;

/// Of the script's time.
const MOST_OF_SCRIPT: f64 = 0.8;
/// Of docker's time, on plain namespaces.
const MOST_OF_DOCKER: f64 = 0.1;
/// Of the whole time, without the engine.
const MOST_OWN_PERCENT: f64 = 5.0;
/// Of twice the time with half as many containers: that is as much, where it grows as their number does,
/// and the rest is for noise.
const MOST_OF_TWICE: f64 = 1.1;
/// With how many containers.
const CONTAINERS: [u8; 6] = [2, 4, 8, 16, 32, 64];
/// A run takes seconds, and a pair two runs.
const MOST_PAIRS: usize = 9;

pub(super) fn rows(place: &Workplace<'_>) -> Result<Vec<Row>> {
    let bench = Runs { place, program: this_program()?, key: host::unused_key().to_string() };
    let row = |name: &str, needs: &[&str], measure: &dyn Fn(String) -> Result<Comparison>| {
        place.row((Group::Experiment, name.to_owned()), needs, measure)
    };
    let mut rows = vec![
        row("the whole, on docker", &["docker"], &|name| bench.beside_a_script(name))?,
        row("client starts, on docker", &["docker", "gcc"], &|name| bench.client_starts(name))?,
        row("without the engine, on docker", &["docker", "gcc"], &|name| bench.own_time(name))?,
        row("the whole, on namespaces", &["docker", "unshare"], &|name| bench.namespaces(name))?,
    ];
    for (engine, needs) in [("namespaces", "unshare"), ("docker", "docker")] {
        let mut with_half = None;
        for containers in CONTAINERS {
            let name = format!("{containers} containers, on {engine}");
            rows.push(row(&name, &[needs], &|name| {
                bench.many(name, engine, containers, with_half)
            })?);
            with_half = match rows.last() {
                Some(Row::Compared(it)) => Some(it.ours.value),
                _ => None,
            };
        }
    }
    Ok(rows)
}

/// This very program.
fn this_program() -> Result<String> {
    let path = env::current_exe().context("this program's own file is not known")?;
    Ok(path.to_string_lossy().into_owned())
}

/// Runs of the experiment.
struct Runs<'a> {
    place: &'a Workplace<'a>,
    program: String,
    key: String,
}

/// A run that was spied upon.
struct Spied {
    seconds: f64,
    waiting: waiting::Waiting,
}

impl Runs<'_> {
    fn report(&self) -> PathBuf {
        self.place.file("experiment.json")
    }

    /// The command; its report goes to a file.
    fn command(&self, engine: &str, containers: u8) -> Invocation {
        let (containers, report) = (containers.to_string(), self.report());
        let report = report.to_string_lossy();
        let args = ["experiment", "--engine", engine, "--key", &self.key];
        let args = [&args[..], &["--containers", &containers, "--format", "json"]].concat();
        Invocation::new(&self.program, [&args[..], &["--output", &report]].concat()).cleans_up()
    }

    fn seconds(&self, invocation: &Invocation) -> Result<f64> {
        Ok(self.place.run(invocation)?.duration.as_secs_f64())
    }

    /// A side, with the command as it is typed instead of the path of this program.
    fn measurement(
        &self,
        of: &str,
        value: impl Into<Spread>,
        invocation: &Invocation,
    ) -> Measurement {
        let measured = self.place.measurement(of, value, invocation);
        let program = self.place.measurement("", 0.0, &Invocation::new(&self.program, [""; 0]));
        let command = measured.command.replacen(&program.command, "cargo xtask", 1);
        Measurement { command, ..measured }
    }

    /// The commands of a run on docker, as a script.
    fn script(&self) -> Result<(Invocation, replay::Script)> {
        self.place.run(&self.command("docker", 2))?;
        let report = fs::read_to_string(self.report())?;
        let script = replay::script(&report).context("the report of a run")?;
        let path = self.place.file("experiment.sh");
        fs::write(&path, &script.text)?;
        Ok((Invocation::new("sh", [path.to_string_lossy()]).cleans_up(), script))
    }

    fn beside_a_script(&self, name: String) -> Result<Comparison> {
        let (command, script) = self.script()?;
        let run = script.run.context("the commands of a run carry no id")?;
        let engine = client::current(EngineKind::Docker, "docker", self.place.interrupt)?;
        for name in script.containers {
            let (engine, run) = (engine.clone(), run.clone());
            self.place.ledger.record(Entry::Container { engine, run, name })?;
        }
        let ours = ("experiment", self.command("docker", 2));
        let pairs = self.pairs(name, ours, ("script of its commands", command), MOST_OF_SCRIPT)?;
        // The script has removed them, each time.
        self.place.ledger.forget(|entry| entry.run() == Some(&run));
        Ok(pairs)
    }

    fn namespaces(&self, name: String) -> Result<Comparison> {
        let [ours, docker] = ["namespaces", "docker"].map(|it| (it, self.command(it, 2)));
        self.pairs(name, ours, docker, MOST_OF_DOCKER)
    }

    /// Two whole runs in turn, of which ours may take so much of the other's time.
    fn pairs(
        &self,
        name: String,
        (of_ours, ours): (&str, Invocation),
        (of_peer, peer): (&str, Invocation),
        most: f64,
    ) -> Result<Comparison> {
        let count = self.place.at_most(MOST_PAIRS);
        let pairs = pairs::measure(count, || self.seconds(&ours), || self.seconds(&peer))?;
        Ok(Comparison {
            group: Group::Experiment,
            name,
            unit: Unit::Seconds,
            ours: self.measurement(of_ours, pairs.ours, &ours),
            peer: Some(self.measurement(of_peer, pairs.peer, &peer)),
            ratio: Some(pairs.ratio),
            target: Some(Target::Ratio(most)),
        })
    }

    /// A run in which each start of docker's client is noted.
    fn spied(&self) -> Result<(Spied, Invocation)> {
        let (folder, log) = (self.place.file("spied"), self.place.file("spied.log"));
        let spy = self.place.build(peers::SPY)?;
        fs::create_dir_all(&folder)?;
        let (link, _) = (folder.join("docker"), fs::remove_file(&log));
        if !link.is_file() {
            symlink(spy, link)?;
        }
        let path = env::var("PATH").unwrap_or_default();
        let docker = program::find("docker", path.as_ref()).context("docker is not in PATH")?;
        let variables = BTreeMap::from([
            ("PATH", format!("{}:{path}", folder.to_string_lossy())),
            ("SPY_PROGRAM", docker.to_string_lossy().into_owned()),
            ("SPY_LOG", log.to_string_lossy().into_owned()),
        ]);
        let command = self.command("docker", 2);
        let with_variable =
            |command: Invocation, (name, value): (&'static str, String)| command.env(name, value);
        let spied = variables.into_iter().fold(command.clone(), with_variable);
        let seconds = self.seconds(&spied)?;
        let noted = fs::read_to_string(&log).context("nothing was noted of docker's client")?;
        let waiting = waiting::Waiting::of(&noted).context("notes about docker's client")?;
        Ok((Spied { seconds, waiting }, command))
    }

    fn client_starts(&self, name: String) -> Result<Comparison> {
        let in_script = self.script()?.1.client_starts;
        let (spied, command) = self.spied()?;
        let count = |starts: usize| f64::from(u32::try_from(starts).unwrap_or(u32::MAX));
        let (ours, peer) = (count(spied.waiting.starts), count(in_script));
        let script = Invocation::new("sh", [self.place.file("experiment.sh").to_string_lossy()]);
        Ok(Comparison {
            group: Group::Experiment,
            name,
            unit: Unit::ClientStarts,
            ours: self.measurement("experiment", ours, &command),
            peer: Some(self.measurement("script of its commands", peer, &script)),
            ratio: Some(Spread::from(ours / peer)),
            target: None,
        })
    }

    /// The part of the time in which no client of docker's ran.
    fn own_time(&self, name: String) -> Result<Comparison> {
        let command = self.command("docker", 2);
        let percent = || {
            let (Spied { seconds, waiting }, _) = self.spied()?;
            Ok((seconds - waiting.seconds).max(0.0) / seconds * 100.0)
        };
        let value = pairs::alone(self.place.at_most(MOST_PAIRS), percent)?;
        Ok(Comparison {
            group: Group::Experiment,
            name,
            unit: Unit::Percent,
            ours: self.measurement("of its time", value, &command),
            peer: None,
            ratio: None,
            target: Some(Target::Ours(MOST_OWN_PERCENT)),
        })
    }

    /// The time with many containers, beside twice that with half as many.
    fn many(
        &self,
        name: String,
        engine: &str,
        containers: u8,
        with_half: Option<Spread>,
    ) -> Result<Comparison> {
        let command = self.command(engine, containers);
        let ours = match (engine, containers) {
            // Minutes, if it were measured several times.
            ("docker", 32..) => self.seconds(&command)?.into(),
            _ => pairs::alone(self.place.at_most(3), || self.seconds(&command))?,
        };
        let twice = with_half.map(|half| Spread {
            median: half.median * 2.0,
            min: half.min * 2.0,
            max: half.max * 2.0,
            count: half.count,
        });
        Ok(Comparison {
            group: Group::Experiment,
            name,
            unit: Unit::Seconds,
            ours: self.measurement("experiment", ours, &command),
            peer: twice.map(|it| {
                let half = containers / 2;
                self.measurement(&format!("twice that of {half}"), it, &self.command(engine, half))
            }),
            ratio: twice.map(|it| Spread::from(ours.median / it.median)),
            target: twice.map(|_| Target::Ratio(MOST_OF_TWICE)),
        })
    }
}
