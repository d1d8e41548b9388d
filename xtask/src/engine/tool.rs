//! The command lines of the tools, for an engine to run at a place.

use std::path::{Path, PathBuf};

use shm_core::{IpcNamespace, Key};

use super::EngineError;
use crate::engine::dist::Dist;
use crate::engine::observation::{Identity, Observation};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::Invocation;
use crate::process::labels::RunId;
use crate::process::ledger::Ledger;
use crate::script::{Action, Mechanism, Objects, Step};

/// The file on the volume that is too large for a container with limited memory.
pub const LARGE_TEXT: &str = "large_text";

/// How much a process leaves behind in shared memory, in bytes.
pub const LEAK: u64 = 36 << 20;

/// Runs the tools on one script's shared memory.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The binaries.
    pub dist: Dist,
    /// The names of the shared memory.
    pub objects: Objects,
    /// The folder on the host that is the volume, where the script shares files.
    pub volume: Option<PathBuf>,
    /// What may end the run.
    pub interrupt: Interrupt,
    /// Where the run writes down what it makes.
    pub ledger: Ledger,
}

impl Tools {
    /// The tool that does `action`, and its arguments, where the volume is mounted at `volume`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Script`] for what is no work for a tool.
    pub fn command(
        &self,
        action: &Action,
        volume: &Path,
    ) -> Result<(&'static str, Vec<String>), EngineError> {
        match action {
            Action::Write(mechanism, text) => {
                let address = address(self.objects, *mechanism, volume);
                Ok(("shm_wr", [address, self.size(*mechanism), vec![text.clone()]].concat()))
            }
            Action::Control(mechanism, text) => {
                let options = ["--json", "--create-new"].map(str::to_owned).to_vec();
                let address = address(self.objects, *mechanism, volume);
                let size = self.size(*mechanism);
                Ok(("shm_wr", [options, address, size, vec![text.clone()]].concat()))
            }
            Action::Read(mechanism) => Ok(("shm_rd", address(self.objects, *mechanism, volume))),
            Action::List => Ok(("shm_ls", vec![])),
            // The whole text goes into one JSON string: that of a large file, or what was left behind.
            Action::ExhaustMemory => {
                let large = match &self.volume {
                    Some(_) => {
                        let path = volume.join(LARGE_TEXT).to_string_lossy().into_owned();
                        ["--file".to_owned(), path]
                    }
                    None => self.leaked(),
                };
                Ok(("shm_rd", [&["--json".to_owned()][..], &large].concat()))
            }
            // The text comes from standard input: every page of it is touched.
            Action::Leak => {
                let args = ["--stdin", "--size", &LEAK.to_string()].map(str::to_owned);
                Ok(("shm_wr", [args.to_vec(), self.leaked().to_vec()].concat()))
            }
            _ => Err(EngineError::Script(format!("{action:?} is no work for a tool"))),
        }
    }

    /// The options that name what is left behind.
    fn leaked(&self) -> [String; 2] {
        let key = self.objects.key.raw().wrapping_add(1);
        ["--key".to_owned(), key.to_string()]
    }

    /// What the tool reads from standard input, where it does.
    #[must_use]
    pub fn stdin(&self, action: &Action) -> Option<Vec<u8>> {
        let size = usize::try_from(LEAK).unwrap_or_default();
        // The last byte is for the NUL behind the text.
        matches!(action, Action::Leak).then(|| vec![b'x'; size - 1])
    }

    /// The size to make memory with, where it is not what the writer takes by itself.
    fn size(&self, mechanism: Mechanism) -> Vec<String> {
        match (mechanism, self.objects.size) {
            (_, Objects::DEFAULT_SIZE) => vec![],
            (Mechanism::Sysv | Mechanism::Posix | Mechanism::File, size) => {
                vec!["--size".to_owned(), size.to_string()]
            }
            _ => vec![],
        }
    }

    /// Has the ledger name the process that writes what stays on this host.
    #[must_use]
    pub fn recorded(&self, action: &Action, invocation: Invocation) -> Invocation {
        match action.text() {
            Some(_) => invocation.recorded(&self.ledger, &RunId::random()),
            None => invocation,
        }
    }

    /// The folder on the host that is the volume; the root where there is none.
    #[must_use]
    pub fn volume_on_host(&self) -> &Path {
        self.volume.as_deref().unwrap_or(Path::new("/"))
    }

    /// Does a step on the host, with the very binaries that are in the image.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the tool cannot be run.
    pub fn on_host(&self, step: &Step) -> Result<Observation, EngineError> {
        let tools = Self { objects: self.objects.of(step), ..self.clone() };
        let (tool, args) = tools.command(&step.action, self.volume_on_host())?;
        let invocation = Invocation::new(&self.dist.tool(tool), args);
        let output = self.recorded(&step.action, invocation).run(&self.interrupt)?;
        let namespace = IpcNamespace::current()
            .map_or_else(|error| Identity::Unknown(error.to_string()), Identity::Kernel);
        Ok(Observation { namespace: Some(namespace), ..output.into() })
    }
}

/// The options that name what a mechanism shares, where the volume is mounted at `volume`.
#[must_use]
pub fn address(objects: Objects, mechanism: Mechanism, volume: &Path) -> Vec<String> {
    let key = match objects.key {
        Key::DEFAULT => vec![],
        key => vec!["--key".to_owned(), key.to_string()],
    };
    let object = |it: &str| [vec!["--object".to_owned(), it.to_owned()], key.clone()].concat();
    let named = |option: &str, name: String| vec![option.to_owned(), name];
    match mechanism {
        Mechanism::Sysv => key,
        Mechanism::Sem | Mechanism::Msg | Mechanism::Mqueue => object(mechanism.word()),
        Mechanism::Posix => named("--posix", objects.name()),
        Mechanism::File => {
            let path = volume.join(objects.name());
            named("--file", path.to_string_lossy().into_owned())
        }
    }
}
