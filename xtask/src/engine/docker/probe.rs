//! A probe for the kernel of a runtime: the host's, or one for each container.

use super::client::{client, failed};
use super::inspect::InspectReport;
use super::remove::Remover;
use crate::engine::docker::run_options::{HARDENED, runtime};
use crate::engine::image::Image;
use crate::engine::{EngineError, EngineInfo, Kernels};
use crate::process::interrupt::Interrupt;
use crate::process::labels::{RUN_LABEL, RunId};
use crate::process::ledger::{EngineAt, Entry, Ledger};

/// Runs two containers, one after the other. On a shared kernel both print the same boot id, on
/// a remote machine too.
pub(crate) fn kernels(
    info: &EngineInfo,
    at: &EngineAt,
    image: &Image,
    ledger: &Ledger,
    interrupt: &Interrupt,
) -> Result<Kernels, EngineError> {
    image.ensure(at, ledger, interrupt)?;
    let boot = || boot_id(info, at, image, ledger, interrupt);
    let (first, second) = (boot()?, boot()?);
    Ok(if first.is_some() && first == second { Kernels::Shared } else { Kernels::Own })
}

/// Runs a container and returns the boot id that it prints.
fn boot_id(
    info: &EngineInfo,
    at: &EngineAt,
    image: &Image,
    ledger: &Ledger,
    interrupt: &Interrupt,
) -> Result<Option<String>, EngineError> {
    let run = RunId::random();
    let (name, label) = (format!("shm-{}-probe", run.short()), format!("{RUN_LABEL}={run}"));
    let mut args = runtime(info);
    args.extend(["--rm", "--name", &name, "--label", &label]);
    args.extend(HARDENED);
    args.extend(["--entrypoint", "/bin/shm_ls", image.tag(), "--json"]);
    ledger.record(Entry::Container { engine: at.clone(), run: run.clone(), name: name.clone() })?;
    let asked = client(at, args).recorded(ledger, &run).run(interrupt);
    // `--rm` removes the container, unless the client was killed.
    Remover { at, interrupt: interrupt.for_cleaning() }.everything(&run, ledger, asked.is_ok())?;
    let output = asked?;
    if !output.succeeded() {
        let what = format!("{} cannot run a container", info.title());
        return Err(failed(what, output).into());
    }
    let report: InspectReport = serde_json::from_slice(&output.stdout).map_err(|_| {
        let answer = output.stderr_tail();
        EngineError::Unexpected { command: output.command_line(), answer }
    })?;
    Ok(report.boot_id)
}
