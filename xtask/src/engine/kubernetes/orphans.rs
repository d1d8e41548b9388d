//! What pods in the node's IPC namespace leave on the node, and its removal from there.

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
    /// Removes what this run wrote where the node sees it, through the pod that does too.
    pub(super) fn remove_what_was_written(&self, client: &Client) -> Result<(), EngineError> {
        let written = self.know(|known| known.written());
        let Some(pod) = self.know(|known| known.pod_of(HOST)) else { return Ok(()) };
        for (mechanism, text) in written {
            remove(client, &pod, self.tools.objects, mechanism, &text)?;
        }
        Ok(())
    }
}

/// Removes from the node all that a run which was killed has left there, through its pod that sees
/// the node; says how many things that were.
///
/// # Errors
///
/// Where one could not be removed.
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

/// Removes an object from the node, if it still holds `text`; says whether it did. It is somebody
/// else's if it does not.
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
        // The reader's own word, not kubectl's.
        Some(0 | 255) => return Ok(false),
        _ => {
            let what = format!("{} {} may be left on the node", mechanism.word(), objects.key);
            return Err(failed(what, read).into());
        }
    }
    let removed = client.invoke(&[&exec[..], &["shm_wr", "--remove"], &address].concat())?;
    if !removed.succeeded() {
        let what = format!("{} {} is left on the node", mechanism.word(), objects.key);
        return Err(failed(what, removed).into());
    }
    Ok(true)
}
