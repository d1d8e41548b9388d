//! Probes: whether a container of the image runs, and whose kernel it has.

use super::client::{client, failed};
use super::remove::Remover;
use crate::engine::docker::run_options::{HARDENED, runtime};
use crate::engine::image::Image;
use crate::engine::observation::ToolReport;
use crate::engine::{EngineError, EngineInfo, Kernels};
use crate::process::interrupt::Interrupt;
use crate::process::labels::{RUN_LABEL, RunId};
use crate::process::ledger::{EngineAt, Entry, Ledger};

/// Fails unless a container of the image starts, prints the namespace's table, and ends.
pub(in crate::engine) fn run_container(
    info: &EngineInfo,
    at: &EngineAt,
    image: &Image,
    ledger: &Ledger,
    interrupt: &Interrupt,
) -> Result<ToolReport, EngineError> {
    image.ensure(at, ledger, interrupt)?;
    let run = RunId::random();
    let (name, label) = (format!("shm-{}-probe", run.short()), format!("{RUN_LABEL}={run}"));
    let mut args = runtime(info);
    args.extend(["--rm", "--name", &name, "--label", &label]);
    args.extend(HARDENED);
    args.extend(["--entrypoint", "/bin/shm_ls", image.tag(), "--json"]);
    ledger.record(Entry::Container { engine: at.clone(), run: run.clone(), name: name.clone() })?;
    let asked = client(at, args).recorded(ledger, &run).run(interrupt);
    // `--rm` removes the container, unless the client was killed or the container did not start.
    let remover = Remover { at, interrupt: interrupt.for_cleaning() };
    remover.everything(&run, ledger, asked.is_ok())?;
    let output = asked?;
    if !output.succeeded() {
        let what = format!("{} cannot run a container", info.title());
        return Err(failed(what, output).into());
    }
    serde_json::from_slice(&output.stdout).map_err(|_| EngineError::unexpected(&output))
}

/// Runs two containers, one after the other. On a shared kernel both print the same boot id, on
/// a remote machine too.
pub(crate) fn kernels(
    info: &EngineInfo,
    at: &EngineAt,
    image: &Image,
    ledger: &Ledger,
    interrupt: &Interrupt,
) -> Result<Kernels, EngineError> {
    let boot_id = || run_container(info, at, image, ledger, interrupt).map(|it| it.boot_id);
    let (first, second) = (boot_id()?, boot_id()?);
    Ok(if first.is_some() && first == second { Kernels::Shared } else { Kernels::Own })
}
