//! The command lines of the tools.

use std::path::{Path, PathBuf};

use shm_cli::DEFAULT_KEY;
use shm_core::IpcNamespace;

use super::EngineError;
use crate::engine::dist::Dist;
use crate::engine::observation::{Identity, Observation};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::Invocation;
use crate::process::labels::RunId;
use crate::process::ledger::Ledger;
use crate::script::{Action, Mechanism, Objects, Step};

/// A file on the volume, too large for the memory limit of a container.
pub const LARGE_TEXT: &str = "large_text";

/// The size of the segment that a process leaves behind, in bytes.
pub const LEAK: u64 = 36 << 20;

/// The tools, for one script's shared memory.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The binaries.
    pub dist: Dist,
    /// The names of the shared memory.
    pub objects: Objects,
    /// The folder on the host that is the volume, if the script shares files.
    pub volume: Option<PathBuf>,
    /// The signals and the time limit of the run.
    pub interrupt: Interrupt,
    /// The ledger of the run.
    pub ledger: Ledger,
}

impl Tools {
    /// Returns the tool for `action` and its arguments, with the volume mounted at `volume`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Script`] for an action without a tool.
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
            // --json makes one string of the whole text: of the large file, or of the leak.
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
            // A text from standard input fills the segment, so all its pages are allocated.
            Action::Leak => {
                let args = ["--stdin", "--size", &LEAK.to_string()].map(str::to_owned);
                Ok(("shm_wr", [args.to_vec(), self.leaked().to_vec()].concat()))
            }
            _ => Err(EngineError::Script(format!("no tool can execute {action:?}"))),
        }
    }

    /// Returns the options for the segment that is left behind.
    fn leaked(&self) -> [String; 2] {
        let key = self.objects.key.raw().wrapping_add(1);
        ["--key".to_owned(), key.to_string()]
    }

    /// Returns the standard input of the tool, or `None` if the tool does not read it.
    #[must_use]
    pub fn stdin(&self, action: &Action) -> Option<Vec<u8>> {
        let size = usize::try_from(LEAK).unwrap_or_default();
        // The last byte of the segment is for the terminating NUL.
        matches!(action, Action::Leak).then(|| vec![b'x'; size - 1])
    }

    /// Returns the writer's size option, unless the size is the writer's default.
    fn size(&self, mechanism: Mechanism) -> Vec<String> {
        match (mechanism, self.objects.size) {
            (_, Objects::DEFAULT_SIZE) => vec![],
            (Mechanism::Sysv | Mechanism::Posix | Mechanism::File, size) => {
                vec!["--size".to_owned(), size.to_string()]
            }
            _ => vec![],
        }
    }

    /// Makes the ledger record the process of an action that writes on this host.
    pub(crate) fn recorded(&self, action: &Action, invocation: Invocation) -> Invocation {
        match action.text() {
            Some(_) => invocation.recorded(&self.ledger, &RunId::random()),
            None => invocation,
        }
    }

    /// Returns the folder on the host that is the volume, or `/` if there is none.
    #[must_use]
    pub fn volume_on_host(&self) -> &Path {
        self.volume.as_deref().unwrap_or(Path::new("/"))
    }

    /// Executes a step on the host, with the same binaries as in the image.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the tool cannot run.
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

/// Returns the options for the shared object of a mechanism, with the volume mounted at `volume`.
#[must_use]
pub fn address(objects: Objects, mechanism: Mechanism, volume: &Path) -> Vec<String> {
    let key = match objects.key {
        DEFAULT_KEY => vec![],
        key => vec!["--key".to_owned(), key.to_string()],
    };
    let object = |it: &str| [vec!["--object".to_owned(), it.to_owned()], key.clone()].concat();
    let named = |option: &str, name: String| vec![option.to_owned(), name];
    match mechanism {
        Mechanism::Sysv => key,
        Mechanism::Sem | Mechanism::Msg | Mechanism::Mqueue => object(&mechanism.to_string()),
        Mechanism::Posix => named("--posix", objects.name()),
        Mechanism::File => {
            let path = volume.join(objects.name());
            named("--file", path.to_string_lossy().into_owned())
        }
    }
}
