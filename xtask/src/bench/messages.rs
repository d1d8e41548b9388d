//! How long a round trip takes: whole messages in shared memory beside pipes and sockets, on the host,
//! in one container, and between two that share a namespace.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::measurement::{Comparison, Group, Row, Target, Unit};
use super::pairs;
use super::workplace::Workplace;
use crate::engine::docker::launch::HARDENED;
use crate::engine::image::{Image, SCRATCH};
use crate::host;
use crate::invocation::Invocation;
use crate::ledger::{OWNER_LABEL, Owner, RUN_LABEL, RunId};

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
}

impl<'a> Exchange<'a> {
    fn new(place: &'a Workplace<'a>, program: &'a str, situation: Situation) -> Result<Self> {
        let image = Image::new(place.dist(), SCRATCH)?;
        if situation != Situation::Host {
            image.ensure("docker", place.interrupt)?;
        }
        Ok(Self { place, program, situation, image, run: RunId::random() })
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
            Situation::OneContainer => self.container(&["--rm"], &exchange),
            Situation::TwoContainers => {
                let ipc = format!("--ipc=container:{}", self.server());
                let exchange = [&exchange[..], &["--connect", meeting]].concat();
                self.container(&["--rm", &ipc], &exchange)
            }
        }
    }

    fn server(&self) -> String {
        format!("shm-{}-server", self.run)
    }

    fn serve(&self, way: &Way, meeting: &str) -> Result<Server<'_>> {
        let name = self.server();
        let options = ["--detach", "--ipc=shareable", "--name", &name];
        let exchange = [way.mechanism, "--wait", way.wait, "--serve", meeting];
        self.place.run(&self.container(&options, &exchange))?;
        Ok(Server { place: self.place, name })
    }

    /// The program in a container, which carries the labels by which `clean` finds it.
    fn container(&self, options: &[&str], exchange: &[&str]) -> Invocation {
        let labels =
            [format!("{RUN_LABEL}={}", self.run), format!("{OWNER_LABEL}={}", Owner::current())];
        let mount = format!("{}:{INSIDE}:ro", self.program);
        let mut args = [&["run"], options, &HARDENED].concat();
        args.extend(["--label", &labels[0], "--label", &labels[1], "--volume", &mount]);
        args.extend([self.image.tag(), INSIDE]);
        Invocation::new("docker", [&args[..], exchange].concat())
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
struct Server<'a> {
    place: &'a Workplace<'a>,
    name: String,
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let remove = Invocation::new("docker", ["rm", "--force", &self.name]);
        // What is left of it `clean` finds by its label.
        let _ = remove.run(&self.place.interrupt.for_cleaning());
    }
}
