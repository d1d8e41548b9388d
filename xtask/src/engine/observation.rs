//! Observations: the results of steps, as plain values.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use shm_cli::text::spaced;
use shm_core::table::{Row, Table};
use shm_core::{Errno, IpcNamespace, Key};

use crate::process::invocation::Output;
use crate::script::{Action, Container, Expectation, Place};

/// The result of one step, on the model or on an engine.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The command and its output; the command is empty on the model.
    pub output: Output,
    /// The IPC namespace in which the step ran, if it ran in one.
    pub namespace: Option<Identity>,
    /// The container's state after a step that changes it.
    pub state: Option<State>,
    /// The running containers, for a step that lists them.
    pub running: Option<BTreeSet<Container>>,
}

impl From<Output> for Observation {
    fn from(output: Output) -> Self {
        Self { output, ..Self::default() }
    }
}

/// The identity of an IPC namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Identity {
    /// A namespace of the model.
    Model(ModelNamespace),
    /// A namespace of the kernel.
    Kernel(IpcNamespace),
    /// A namespace of another kernel or another machine; holds why it is not compared.
    Foreign(String),
    /// Unknown; holds the reason.
    Unknown(String),
}

/// An IPC namespace as a process in it reported it. Nothing holds it, so the kernel may reuse its
/// inode. Only kernels from 6.18 on have unique ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ReportedNamespace {
    /// The inode of its file.
    pub inode: u64,
    /// The kernel's id; `None` on kernels without ids.
    pub id: Option<u64>,
}

impl ReportedNamespace {
    /// Returns the identity, or `None` without an id.
    #[must_use]
    pub fn identity(self) -> Option<IpcNamespace> {
        self.id.map(|id| IpcNamespace::reported(self.inode, id))
    }

    /// Returns whether this can be `namespace`. Compares the inodes if an id is missing.
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

/// The output of `shm_wr --json` or `shm_ls --json`, as far as it is used here.
#[derive(Deserialize)]
pub(super) struct ToolReport {
    /// The kernel's boot id, which only `shm_ls` prints.
    pub(super) boot_id: Option<String>,
    pub(super) ipc_namespace: Option<ReportedNamespace>,
}

/// A namespace of the model, named by its creation: the second start of A creates `A#2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelNamespace {
    /// The container that it was created for, or the host.
    pub place: Place,
    /// The number of the container's start, from 1; 0 for the host's namespace.
    pub start: usize,
}

impl ModelNamespace {
    /// The host's namespace.
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

/// The state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Running.
    Running,
    /// Paused: its processes are frozen.
    Paused,
    /// Stopped.
    Exited,
    /// Removed.
    Gone,
    /// The engine refused the step.
    Refused,
}

/// Returns the observation of a tool that failed to `verb`, because `call` returned `errno`.
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
    /// Returns the line on standard error with a tool's error, whose form is fixed. Empty if there
    /// is none. Engines may print other lines before it.
    #[must_use]
    pub fn tool_error(&self) -> &[u8] {
        const MARK: &[u8] = b" failed, errno: ";
        let mut lines = self.output.stderr.split(|byte| *byte == b'\n');
        lines.find(|line| line.windows(MARK.len()).any(|it| it == MARK)).unwrap_or_default()
    }

    /// Returns the namespace that the step's process printed: the writer of a control in its JSON,
    /// a reader that found nothing in its `cause:`. `None` for other actions.
    #[must_use]
    pub fn reported(&self, action: &Action) -> Option<ReportedNamespace> {
        match action {
            Action::Control(..) => {
                serde_json::from_slice::<ToolReport>(&self.output.stdout).ok()?.ipc_namespace
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

    /// Returns the namespace of `action`: the one that its process printed, if that has an id;
    /// otherwise the one that the engine names.
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

    /// Returns the rows of a listing, or `None` if the output is not a listing.
    #[must_use]
    pub fn rows(&self) -> Option<Vec<Row>> {
        // Lines from a terminal end with CR LF, which the parser skips as white space.
        let text = String::from_utf8_lossy(&self.output.stdout);
        (self.output.exit_code == Some(0)).then(|| Table::parse(&text))?.map(|table| table.0)
    }

    /// Returns whether the step shows what `shows` expects of the memory with `key`. `None` if it
    /// proves nothing, such as a reader that failed for another reason than ENOENT.
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
