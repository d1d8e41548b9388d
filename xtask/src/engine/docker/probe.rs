//! What a runtime turns out to be: one that shares the host's kernel, or one that brings its own.

use super::inspect::Report;
use super::launch::{HARDENED, runtime};
use crate::engine::image::Image;
use crate::engine::{EngineError, EngineInfo, Kernels};
use crate::interrupt::Interrupt;
use crate::invocation::Invocation;
use crate::ledger::{OWNER_LABEL, Owner};

/// Runs two containers, one after the other: on one kernel they tell the same boot id, and that is
/// so on another machine, too.
pub(in crate::engine) fn kernels(
    info: &EngineInfo,
    program: &str,
    image: &Image,
    interrupt: &Interrupt,
) -> Result<Kernels, EngineError> {
    image.ensure(program, interrupt)?;
    let boot = || boot_id(info, program, image, interrupt);
    let (first, second) = (boot()?, boot()?);
    Ok(if first.is_some() && first == second { Kernels::Shared } else { Kernels::Own })
}

/// The boot id that a container tells.
fn boot_id(
    info: &EngineInfo,
    program: &str,
    image: &Image,
    interrupt: &Interrupt,
) -> Result<Option<String>, EngineError> {
    let owner = format!("{OWNER_LABEL}={}", Owner::current());
    let mut args = runtime(info);
    args.extend(["--rm", "--label", &owner]);
    args.extend(HARDENED);
    args.extend(["--entrypoint", "/bin/shm_ls", image.tag(), "--json"]);
    let transcript = Invocation::new(program, args).run(interrupt)?;
    if !transcript.succeeded() {
        let what = format!("{} does not run containers", info.title());
        return Err(EngineError::Refused { what, transcript });
    }
    let report: Report = serde_json::from_slice(&transcript.stdout).map_err(|_| {
        let answer = transcript.last_words();
        EngineError::Unexpected { command: transcript.command_line(), answer }
    })?;
    Ok(report.boot_id)
}
