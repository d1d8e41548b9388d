//! How long a round trip takes: whole messages in shared memory beside pipes and sockets, on the host,
//! in one container, and between two that share a namespace.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::commands::bench::measurement::{Comparison, Group, Row, Target, Unit};
use crate::commands::bench::pairs;
use crate::commands::bench::workplace::Workplace;
use crate::engine::docker::client;
use crate::engine::docker::remove::{Kind, Remover};
use crate::engine::docker::run_options::HARDENED;
use crate::engine::image::{Image, SCRATCH};
use crate::engine::{EngineError, EngineKind, host};
use crate::process::invocation::Invocation;
use crate::process::labels::{RUN_LABEL, RunId};
use crate::process::ledger::{EngineAt, Entry};

/// How many round trips are timed at once.
const COUNT: &str = "20000";
/// Of the time of a Unix socket whose sides spin too.
const MOST_OF_SOCKET: f64 = 0.2;
/// Where the program is in a container.
const INSIDE: &str = "/exchange";

/// Another way for messages to go, and how its sides wait for them.
struct Way {
    mechanism: &'static str,
    wait: &'static str,
    title: &'static str,
    target: Option<Target>,
}

const fn way(mechanism: &'static str, wait: &'static str, title: &'static str) -> Way {
    Way { mechanism, wait, title, target: None }
}

const FRAMED: Way = way("framed", "spin", "framed");
const WAYS: [Way; 4] = [
    Way {
        target: Some(Target::Ratio(MOST_OF_SOCKET)),
        ..way("unix", "spin", "Unix socket, spinning")
    },
    way("unix", "block", "Unix socket"),
    way("pipe", "block", "pipes"),
    way("tcp", "block", "TCP, loopback"),
];

/// Where the two processes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Situation {
    Host,
    OneContainer,
    TwoContainers,
}

impl Situation {
    fn title(self) -> &'static str {
        match self {
            Self::Host => "a round trip on the host",
            Self::OneContainer => "in one container",
            Self::TwoContainers => "between two that share a namespace",
        }
    }
}

/// What the program prints.
#[derive(Deserialize)]
struct Timed {
    median_ns: f64,
}

pub(super) fn rows(place: &Workplace<'_>) -> Result<Vec<Row>> {
    let program = place.dist().example("shm_core", "exchange", place.interrupt)?;
    let program = program.to_string_lossy().into_owned();
    let mut rows = Vec::new();
    for situation in [Situation::Host, Situation::OneContainer, Situation::TwoContainers] {
        let needs: &[&str] = if situation == Situation::Host { &[] } else { &["docker"] };
        // Containers of a run have no network in common.
        let ways = WAYS
            .iter()
            .filter(|way| situation != Situation::TwoContainers || way.mechanism != "tcp");
        for way in ways {
            let name = format!("{}, 64 bytes", situation.title());
            rows.push(place.row((Group::Messages, name), needs, |name| {
                Exchange::new(place, &program, situation)?.beside(name, way)
            })?);
        }
    }
    Ok(rows)
}

/// Runs of the program that exchanges messages.
struct Exchange<'a> {
    place: &'a Workplace<'a>,
    program: &'a str,
    situation: Situation,
    image: Image,
    run: RunId,
    /// The engine, where there are containers.
    at: Option<EngineAt>,
}

impl<'a> Exchange<'a> {
    fn new(place: &'a Workplace<'a>, program: &'a str, situation: Situation) -> Result<Self> {
        let image = Image::new(place.dist(), SCRATCH)?;
        let at = match situation {
            Situation::Host => None,
            _ => Some(client::current(EngineKind::Docker, "docker", place.interrupt)?),
        };
        let exchange = Self { place, program, situation, image, run: RunId::random(), at };
        if let Some(engine) = &exchange.at {
            exchange.image.ensure(engine, &place.ledger, place.interrupt)?;
            for name in [exchange.server(), exchange.asking()] {
                let (engine, run) = (engine.clone(), exchange.run.clone());
                place.ledger.record(Entry::Container { engine, run, name })?;
            }
        }
        Ok(exchange)
    }

    fn beside(&self, name: String, way: &Way) -> Result<Comparison> {
        let count = self.place.at_most(9);
        let pairs = pairs::measure(count, || self.seconds(&FRAMED), || self.seconds(way))?;
        let side = |way: &Way, value| {
            self.place.measurement(way.title, value, &self.asker(way, &where_to_meet(way)))
        };
        Ok(Comparison {
            group: Group::Messages,
            name,
            unit: Unit::Seconds,
            ours: side(&FRAMED, pairs.ours),
            peer: Some(side(way, pairs.peer)),
            ratio: Some(pairs.ratio),
            target: way.target,
        })
    }

    /// The median of the round trips.
    fn seconds(&self, way: &Way) -> Result<f64> {
        let meeting = where_to_meet(way);
        let _server = match self.situation {
            Situation::TwoContainers => Some(self.serve(way, &meeting)?),
            _ => None,
        };
        let printed = self.place.run(&self.asker(way, &meeting))?;
        let timed: Timed =
            serde_json::from_slice(&printed.stdout).context("no time was printed")?;
        Ok(timed.median_ns * 1e-9)
    }

    /// The command whose times count. It has a peer of its own where there are no two containers.
    fn asker(&self, way: &Way, meeting: &str) -> Invocation {
        let exchange = [way.mechanism, "--wait", way.wait, "--count", COUNT];
        match self.situation {
            Situation::Host => Invocation::new(self.program, exchange),
            Situation::OneContainer => {
                self.container(&["--rm", "--name", &self.asking()], &exchange)
            }
            Situation::TwoContainers => {
                let ipc = format!("--ipc=container:{}", self.server());
                let exchange = [&exchange[..], &["--connect", meeting]].concat();
                self.container(&["--rm", "--name", &self.asking(), &ipc], &exchange)
            }
        }
    }

    fn server(&self) -> String {
        format!("shm-{}-server", self.run.short())
    }

    fn asking(&self) -> String {
        format!("shm-{}-asking", self.run.short())
    }

    fn serve(&self, way: &Way, meeting: &str) -> Result<Server<'_, 'a>> {
        let name = self.server();
        let options = ["--detach", "--ipc=shareable", "--name", &name];
        let exchange = [way.mechanism, "--wait", way.wait, "--serve", meeting];
        self.place.run(&self.container(&options, &exchange))?;
        Ok(Server(self))
    }

    /// Removes the server, once it has answered.
    fn end_server(&self) -> Result<(), EngineError> {
        let Some(remover) = self.remover() else { return Ok(()) };
        remover.named(Kind::Container, &self.run, &[&self.server()]).map(drop)
    }

    fn remover(&self) -> Option<Remover<'_>> {
        let interrupt = self.place.interrupt.for_cleaning();
        self.at.as_ref().map(|at| Remover { at, interrupt })
    }

    /// The program in a container, which carries the run's id as the ledger has it.
    fn container(&self, options: &[&str], exchange: &[&str]) -> Invocation {
        let label = format!("{RUN_LABEL}={}", self.run);
        let mount = format!("{}:{INSIDE}:ro", self.program);
        let mut args = [&["run"], options, &HARDENED].concat();
        args.extend(["--label", &label, "--volume", &mount]);
        args.extend([self.image.tag(), INSIDE]);
        Invocation::new("docker", [&args[..], exchange].concat())
            .recorded(&self.place.ledger, &self.run)
    }
}

/// Where two processes find each other that do not know of one another.
fn where_to_meet(way: &Way) -> String {
    match way.mechanism {
        "framed" => host::unused_key().to_string(),
        _ => "/dev/shm/exchange".to_owned(),
    }
}

/// The container that answers, for as long as it is asked.
struct Server<'a, 'b>(&'a Exchange<'b>);

impl Drop for Server<'_, '_> {
    fn drop(&mut self) {
        // The ledger still names one that is left.
        let _ = self.0.end_server();
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        let removed = self.remover().map(|it| it.everything(&self.run, &self.place.ledger, true));
        // The ledger still names what is left.
        drop(removed);
    }
}
