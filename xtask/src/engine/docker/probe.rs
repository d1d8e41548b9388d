//! A probe for the kernel of a runtime: the host's, or one for each container.

use super::client::{client, failed};
use super::remove::Remover;
use crate::engine::docker::run_options::{HARDENED, runtime};
use crate::engine::image::Image;
use crate::engine::observation::ToolReport;
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
    let boot_id = || -> Result<Option<String>, EngineError> {
        let run = RunId::random();
        let (name, label) = (format!("shm-{}-probe", run.short()), format!("{RUN_LABEL}={run}"));
        let mut args = runtime(info);
        args.extend(["--rm", "--name", &name, "--label", &label]);
        args.extend(HARDENED);
        args.extend(["--entrypoint", "/bin/shm_ls", image.tag(), "--json"]);
        let (engine, run_id) = (at.clone(), run.clone());
        ledger.record(Entry::Container { engine, run: run_id, name: name.clone() })?;
        let asked = client(at, args).recorded(ledger, &run).run(interrupt);
        // `--rm` removes the container, unless the client was killed.
        let remover = Remover { at, interrupt: interrupt.for_cleaning() };
        remover.everything(&run, ledger, asked.is_ok())?;
        let output = asked?;
        if !output.succeeded() {
            let what = format!("{} cannot run a container", info.title());
            return Err(failed(what, output).into());
        }
        let report: ToolReport =
            serde_json::from_slice(&output.stdout).map_err(|_| EngineError::unexpected(&output))?;
        Ok(report.boot_id)
    };
    let (first, second) = (boot_id()?, boot_id()?);
    Ok(if first.is_some() && first == second { Kernels::Shared } else { Kernels::Own })
}
