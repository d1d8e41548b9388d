//! Removal of objects that pods leave in the node's IPC namespace.

use std::path::Path;

use shm_cli::text::spaced;
use shm_core::Key;

use crate::engine::EngineError;
use crate::engine::kubernetes::client::{Client, failed};
use crate::engine::kubernetes::{HOST, Kubernetes};
use crate::engine::tool::address;
use crate::process::ledger::LeftoverManifest;
use crate::script::{Mechanism, Objects};

impl Kubernetes {
    /// Removes what this run wrote in the node's IPC namespace, through the observer pod.
    pub(super) fn remove_from_node(&self, client: &Client) -> Result<(), EngineError> {
        let written = self.with_record(|known| known.written.clone());
        let Some(pod) = self.with_record(|known| known.pod_of(HOST)) else { return Ok(()) };
        for (mechanism, text) in written {
            remove(client, &pod, self.tools.objects, mechanism, &text)?;
        }
        Ok(())
    }
}

/// Removes what a killed run left in the node's IPC namespace, through the run's observer pod.
/// Returns the number removed. Fails if an object may be left.
pub(crate) fn remove_all(
    client: &Client,
    pod: &str,
    left: &LeftoverManifest,
) -> Result<usize, EngineError> {
    let mut count = 0;
    for key in left.keys.iter().filter_map(|key| Key::new(*key)) {
        for mechanism in Mechanism::ALL.into_iter().filter(|it| *it != Mechanism::File) {
            count += usize::from(remove(client, pod, Objects::from(key), mechanism, &left.text)?);
        }
    }
    Ok(count)
}

/// Removes an object from the node if it contains `text`. Otherwise the object is not ours, and
/// the result is `false`.
fn remove(
    client: &Client,
    pod: &str,
    objects: Objects,
    mechanism: Mechanism,
    text: &str,
) -> Result<bool, EngineError> {
    let address = address(objects, mechanism, Path::new("/"));
    let address: Vec<_> = address.iter().map(String::as_str).collect();
    let exec = ["exec", pod, "--container", HOST.0, "--"];
    let read = client.invoke(&[&exec[..], &["shm_rd"], &address].concat())?;
    let first = read.stdout.split(|byte| *byte == b'\n').next();
    match read.exit_code {
        Some(0) if first == Some(&spaced(text.as_bytes())[..]) => {}
        // 255 is a failure of `shm_rd`, not of kubectl.
        Some(0 | 255) => return Ok(false),
        _ => {
            let what = format!("{mechanism} {} may be left on the node", objects.key);
            return Err(failed(what, read).into());
        }
    }
    let removed = client.invoke(&[&exec[..], &["shm_wr", "--remove"], &address].concat())?;
    if !removed.succeeded() {
        let what = format!("cannot remove {mechanism} {} from the node", objects.key);
        return Err(failed(what, removed).into());
    }
    Ok(true)
}
