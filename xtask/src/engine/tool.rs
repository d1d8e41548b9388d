//! The command lines of the tools, for an engine to run at a place.

use shm_core::{IpcNamespace, Key};

use crate::dist::Dist;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError, Transcript};
use crate::observation::{Identity, Observation};
use crate::script::Action;

/// The tool that does `action`, and its arguments; `None` for what only an engine does.
#[must_use]
pub fn command(action: &Action, key: Key) -> Option<(&'static str, Vec<String>)> {
    let key = || match key {
        Key::DEFAULT => vec![],
        key => vec!["--key".to_owned(), key.to_string()],
    };
    match action {
        Action::Write(text) => Some(("shm_wr", [key(), vec![(*text).to_owned()]].concat())),
        Action::Read => Some(("shm_rd", key())),
        Action::List => Some(("shm_ls", vec![])),
        Action::Build | Action::Start | Action::Stop | Action::Processes => None,
    }
}

/// Does `action` on the host, with the very binaries that are in the image.
///
/// # Errors
///
/// [`InvocationError`] where the tool cannot be run.
pub fn on_host(
    dist: &Dist,
    action: &Action,
    key: Key,
    interrupt: &Interrupt,
) -> Result<Option<Observation>, InvocationError> {
    let Some((tool, args)) = command(action, key) else { return Ok(None) };
    let transcript = Invocation::new(&dist.tool(tool), args).run(interrupt)?;
    let namespace = IpcNamespace::current()
        .map_or_else(|error| Identity::Unknown(error.to_string()), Identity::Kernel);
    Ok(Some(Observation { namespace: Some(namespace), ..transcript.into() }))
}

impl From<Transcript> for Observation {
    fn from(transcript: Transcript) -> Self {
        let Transcript { command, stdout, stderr, exit_code, duration } = transcript;
        Self { command, stdout, stderr, exit_code, duration, ..Self::default() }
    }
}
