//! The image with the tools: built once for each content, then reused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use shm_cli::Checksum;

use super::EngineError;
use super::docker::client::{client, failed};
use crate::engine::dist::{Dist, TOOLS};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::Output;
use crate::process::labels::BASE_LABEL;
use crate::process::ledger::{EngineAt, Entry, Ledger};
use crate::process::name::{CheckedName, Id};
use crate::process::untrusted::Untrusted;

/// The time limit of a build, which may pull a base image.
const BUILD_TIMEOUT: Duration = Duration::from_mins(10);

/// The maximum size of a tool, and of the Dockerfile.
const MOST_BYTES: u64 = 64 << 20;

/// Docker's name for an empty base: nothing is pulled, and the image holds the tools alone.
pub const SCRATCH: &str = "scratch";

/// The format for `image inspect`: the id and the labels.
pub(crate) const FORMAT: &str = "{{.Id}} {{json .Config.Labels}}";

/// An image, identified by its content.
#[derive(Clone, Debug)]
pub struct Image {
    base: String,
    context: String,
    tag: String,
}

impl Image {
    /// Returns the image of the tools in `dist` on `base`. Its tag has a checksum of the content,
    /// so an existing image can be reused, and the image of another checkout is not used.
    ///
    /// # Errors
    ///
    /// [`EngineError::File`] where the content cannot be read.
    pub fn new(dist: &Dist, base: &str) -> Result<Self, EngineError> {
        let context = dist.context();
        let mut checksum = Checksum::default();
        checksum.update(base.as_bytes());
        let tools = TOOLS.iter().map(|tool| dist.tool(tool).into());
        for path in tools.chain([context.join("Dockerfile")]) {
            checksum.update(&read(&path)?);
        }
        let tag = format!("shm_experiment:{:016x}", checksum.value());
        Ok(Self { base: base.to_owned(), context: context.to_string_lossy().into_owned(), tag })
    }

    /// Returns the tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns whether the image holds only the tools: no shell, no `ipcs`.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.base == SCRATCH
    }

    /// Builds the image if it is missing, and records it in the ledger. Returns the last command.
    ///
    /// # Errors
    ///
    /// [`EngineError::Failed`] where the build fails, or another image has the tag.
    pub fn ensure(
        &self,
        at: &EngineAt,
        ledger: &Ledger,
        interrupt: &Interrupt,
    ) -> Result<Output, EngineError> {
        let program = &at.program;
        // Reads all labels: docker fails to read one of an image without labels, and the failure
        // looks like a missing image.
        let inspect = ["image", "inspect", "--format", FORMAT, &self.tag];
        let inspect = client(at, inspect);
        let there = inspect.run(interrupt)?;
        if there.succeeded() {
            let Some(labels) = labels(&there.stdout) else {
                return Err(EngineError::unexpected(&there));
            };
            if labels.get(BASE_LABEL) == Some(&self.base) {
                return Ok(there);
            }
            let tag = &self.tag;
            let rename = format!("rename it: {program} tag {tag} NAME && {program} image rm {tag}");
            let failure = failed(format!("there is an image {tag} that is not ours"), there);
            return Err(failure.with_next_step(rename).into());
        }
        let base = format!("BASE={}", self.base);
        let base_label = format!("{BASE_LABEL}={}", self.base);
        let mut args = vec!["build", "--quiet", "--force-rm", "--tag", &self.tag];
        args.extend(["--build-arg", &base, "--label", &base_label, &self.context]);
        let built = client(at, args).timeout(BUILD_TIMEOUT).run(interrupt)?;
        if built.succeeded() {
            let there = inspect.run(interrupt)?;
            if let Some(id) = id(&there) {
                ledger.record(Entry::Image {
                    engine: at.clone(),
                    id,
                    tag: self.tag.clone(),
                    base: self.base.clone(),
                    checkout: self.context.clone().into(),
                })?;
                return Ok(built);
            }
            let what = format!("{program} built the image but does not have it");
            return Err(failed(what, there).into());
        }
        let what = if self.is_bare() {
            "the image could not be built".to_owned()
        } else {
            format!(
                "the image could not be built on {}: {program} must have this base image or reach \
                 its registry; --base scratch needs neither",
                self.base
            )
        };
        Err(failed(what, built).into())
    }
}

/// Parses the id of an image from the output of its inspection. `None` if there is no image.
pub(crate) fn id(inspected: &Output) -> Option<CheckedName<Id>> {
    let printed = inspected.succeeded().then(|| inspected.text())?;
    let id = printed.fields(' ').next()?;
    id.strip_prefix("sha256:").unwrap_or(id).parse().ok()
}

/// Parses the labels of an image from the output of its inspection, after the id.
fn labels(inspected: &[u8]) -> Option<BTreeMap<String, String>> {
    let labels = &inspected[inspected.iter().position(|byte| *byte == b' ')?..];
    serde_json::from_slice::<Option<_>>(labels).ok().map(Option::unwrap_or_default)
}

/// Reads a regular file of at most [`MOST_BYTES`]. Refuses links, and FIFOs and devices, which
/// could block this program or fill its memory.
fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    let open = || {
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            return Err(io::Error::other("not a regular file of at most 64 MiB"));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).map(|_| bytes)
    };
    open().map_err(|source| EngineError::File { path: Untrusted::path(path), source })
}
