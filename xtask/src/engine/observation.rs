//! What a step showed, as plain values.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use shm_cli::text::spaced;
use shm_core::table::{Row, Table};
use shm_core::{Errno, IpcNamespace, Key};

use crate::process::invocation::Output;
use crate::script::{Action, Container, Expectation, Place};

/// What came of one step, on the model or on an engine.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The command that was run and its answer; the command is empty on the model.
    pub output: Output,
    /// The IPC namespace of the place, for steps that are done in one.
    pub namespace: Option<Identity>,
    /// What the engine says of the container after a start or a stop.
    pub state: Option<State>,
    /// The containers that run, for the step that asks.
    pub running: Option<BTreeSet<Container>>,
}

impl From<Output> for Observation {
    fn from(output: Output) -> Self {
        Self { output, ..Self::default() }
    }
}

/// An IPC namespace, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Identity {
    /// The model's.
    Model(ModelNamespace),
    /// The kernel's.
    Kernel(IpcNamespace),
    /// Of another kernel than this program's, or on another machine, and why it is not compared.
    Foreign(String),
    /// Not known, and why.
    Unknown(String),
}

/// An IPC namespace as a process in it names it. Nothing holds it: without an id, which kernels older
/// than 6.18 do not give, its inode may have been another namespace's before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ReportedNamespace {
    /// The inode of its file.
    pub inode: u64,
    /// The kernel's id, where it has ids.
    pub id: Option<u64>,
}

impl ReportedNamespace {
    /// The identity, where the kernel has ids.
    #[must_use]
    pub fn identity(self) -> Option<IpcNamespace> {
        self.id.map(|id| IpcNamespace::reported(self.inode, id))
    }

    /// Whether it can be `namespace`.
    #[must_use]
    pub fn matches(self, namespace: &IpcNamespace) -> bool {
        match (self.id, namespace.id()) {
            (Some(one), Some(other)) => one == other,
            _ => self.inode == namespace.inode(),
        }
    }
}

impl fmt::Display for ReportedNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ipc:[{}]", self.inode)?;
        self.id.map_or(Ok(()), |id| write!(f, " id {id}"))
    }
}

/// What `shm_wr --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct WriterReport {
    ipc_namespace: Option<ReportedNamespace>,
}

/// A namespace of the model, by what made it: the second start of A makes `A#2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelNamespace {
    /// The container that it was made for, or the host.
    pub place: Place,
    /// Which start of it, from 1; 0 for the host's, which was there before.
    pub start: usize,
}

impl ModelNamespace {
    /// The host's.
    pub const HOST: Self = Self { place: Place::Host, start: 0 };
}

impl fmt::Display for ModelNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Host => f.write_str("the host's namespace"),
            Place::In(container) => write!(f, "namespace {container}#{}", self.start),
        }
    }
}

impl Serialize for ModelNamespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(made) => made.fmt(f),
            Self::Kernel(namespace) => namespace.fmt(f),
            Self::Foreign(why) | Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// Whether a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It has ended.
    Exited,
    /// It was removed.
    Gone,
    /// The engine refused to start it.
    Refused,
}

/// What a tool shows that failed to `verb`, because `call` returned `errno`.
#[must_use]
pub fn failed(verb: &str, call: &str, errno: Errno) -> Observation {
    let output = Output {
        stdout: format!("shm {verb} failed\n").into_bytes(),
        stderr: format!("{call} failed, errno: {} msg: {errno}\n", errno.raw()).into_bytes(),
        exit_code: Some(255),
        ..Output::default()
    };
    output.into()
}

impl Observation {
    /// The line on standard error in which a tool says what failed, the part that its contract
    /// fixes; empty where there is none. Engines put lines of their own before it.
    #[must_use]
    pub fn tool_error(&self) -> &[u8] {
        const MARK: &[u8] = b" failed, errno: ";
        let mut lines = self.output.stderr.split(|byte| *byte == b'\n');
        lines.find(|line| line.windows(MARK.len()).any(|it| it == MARK)).unwrap_or_default()
    }

    /// Returns the namespace that the step's process printed: a control's writer in its JSON, a reader that
    /// found nothing in its `cause:`. `None` for other actions.
    #[must_use]
    pub fn reported(&self, action: &Action) -> Option<ReportedNamespace> {
        match action {
            Action::Control(..) => {
                serde_json::from_slice::<WriterReport>(&self.output.stdout).ok()?.ipc_namespace
            }
            Action::Read(_) => {
                let stderr = String::from_utf8_lossy(&self.output.stderr);
                let cause = stderr.lines().find_map(|line| line.strip_prefix("cause: "))?;
                let (inode, rest) = cause.split_once("ipc:[")?.1.split_once(']')?;
                let digits =
                    rest.strip_prefix(" id ").map(|it| it.split(|c: char| !c.is_ascii_digit()));
                let id = digits.and_then(|mut it| it.next()?.parse().ok());
                Some(ReportedNamespace { inode: inode.parse().ok()?, id })
            }
            _ => None,
        }
    }

    /// Returns the namespace of `action`: the one that its process printed, if that has an id; otherwise
    /// the one that the engine names.
    #[must_use]
    pub fn identity(&self, action: &Action) -> Option<Identity> {
        let reported = self.reported(action).and_then(ReportedNamespace::identity);
        match (&self.namespace, reported) {
            (Some(Identity::Kernel(_) | Identity::Unknown(_)), Some(own)) => {
                Some(Identity::Kernel(own))
            }
            (engines, _) => engines.clone(),
        }
    }

    /// The rows of a listing; `None` where it is not one.
    #[must_use]
    pub fn rows(&self) -> Option<Vec<Row>> {
        // A terminal ends its lines with CR LF; whitespace does not matter to the parser.
        let text = String::from_utf8_lossy(&self.output.stdout);
        (self.output.exit_code == Some(0)).then(|| Table::parse(&text))?.map(|table| table.0)
    }

    /// Whether the step shows this of the memory under `key`; `None` where it shows neither that
    /// nor the contrary, such as a reader that failed for another reason than ENOENT.
    #[must_use]
    pub fn shows(&self, action: &Action, key: Key, shows: &Expectation) -> Option<bool> {
        match action {
            Action::List => {
                let present = self.rows()?.iter().any(|row| row.key == key.raw());
                match shows {
                    Expectation::Nothing => Some(!present),
                    Expectation::Something => Some(present),
                    Expectation::Text(_) => None,
                }
            }
            Action::Control(..) => (*shows == Expectation::Something
                && self.output.exit_code == Some(0))
            .then_some(true),
            Action::Read(mechanism) => {
                let nothing = failed("read", mechanism.call(), Errno::ENOENT);
                let absent = self.output.exit_code == nothing.output.exit_code
                    && self.tool_error() == nothing.tool_error();
                let read = self.output.exit_code == Some(0);
                match shows {
                    _ if !absent && !read => None,
                    Expectation::Nothing => Some(absent),
                    Expectation::Something => Some(read),
                    Expectation::Text(expected) => {
                        let line = spaced(expected.as_bytes());
                        let printed = self.output.stdout.split(|byte| *byte == b'\n').next();
                        Some(read && printed == Some(&line[..]))
                    }
                }
            }
            _ => None,
        }
    }
}
