//! The image with the tools in it: built once for each content, and used again.

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
use crate::process::name::{Id, Name};
use crate::process::untrusted::Untrusted;

/// A base image may have to be pulled.
const BUILD_TIMEOUT: Duration = Duration::from_mins(10);

/// The most that a tool may have.
const MOST_BYTES: u64 = 64 << 20;

/// The base that is no image: nothing is pulled, and the image holds the tools alone.
pub const SCRATCH: &str = "scratch";

/// What an image is asked for: its id and its labels.
pub(crate) const FORMAT: &str = "{{.Id}} {{json .Config.Labels}}";

/// An image, by what is in it.
#[derive(Clone, Debug)]
pub struct Image {
    base: String,
    context: String,
    tag: String,
}

impl Image {
    /// The image of the tools in `dist` on `base`. Its tag tells its content, so that an image
    /// with that tag need not be made again, and that of another checkout is never taken for it.
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

    /// The name to run it by.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Whether it holds nothing but the tools: no shell, no `ipcs`.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.base == SCRATCH
    }

    /// As the ledger names it, once it is built.
    fn entry(&self, at: &EngineAt, id: Name<Id>) -> Entry {
        Entry::Image {
            engine: at.clone(),
            id,
            tag: self.tag.clone(),
            base: self.base.clone(),
            checkout: self.context.clone().into(),
        }
    }

    /// Builds the image if the engine does not have it, and adds it to the ledger. Returns the last command.
    ///
    /// # Errors
    ///
    /// [`EngineError::Failed`] where the build fails.
    pub fn ensure(
        &self,
        at: &EngineAt,
        ledger: &Ledger,
        interrupt: &Interrupt,
    ) -> Result<Output, EngineError> {
        let program = &at.program;
        // Not by the label alone: docker fails where there are no labels, as where there is no image.
        let inspect = ["image", "inspect", "--format", FORMAT, &self.tag];
        let inspect = client(at, inspect);
        let there = inspect.run(interrupt)?;
        if there.succeeded() {
            let Some(labels) = labels(&there.stdout) else {
                let (command, answer) = (there.command_line(), there.stderr_tail());
                return Err(EngineError::Unexpected { command, answer });
            };
            if labels.get(BASE_LABEL) == Some(&self.base) {
                return Ok(there);
            }
            let tag = &self.tag;
            let rename = format!(
                "give it another name, {program} tag {tag} NAME && {program} image rm {tag}"
            );
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
                ledger.record(self.entry(at, id))?;
                return Ok(built);
            }
            let what = format!("{program} says that it has built the image, and does not have it");
            return Err(failed(what, there).into());
        }
        let what = if self.is_bare() {
            "the image could not be built".to_owned()
        } else {
            format!(
                "the image could not be built on {}: it must be there already or come from a \
                 registry that {program} reaches; --base scratch needs neither",
                self.base
            )
        };
        Err(failed(what, built).into())
    }
}

/// The id of an image, in what its inspection printed before its labels; `None` where there is none.
pub(crate) fn id(inspected: &Output) -> Option<Name<Id>> {
    let printed = inspected.succeeded().then(|| inspected.text())?;
    let id = printed.fields(' ').next()?;
    id.strip_prefix("sha256:").unwrap_or(id).parse().ok()
}

/// The labels of an image, in what its inspection printed behind its id.
fn labels(inspected: &[u8]) -> Option<BTreeMap<String, String>> {
    let labels = &inspected[inspected.iter().position(|byte| *byte == b' ')?..];
    serde_json::from_slice::<Option<_>>(labels).ok().map(Option::unwrap_or_default)
}

/// Reads a regular file of at most [`MOST_BYTES`]. Refuses FIFOs, devices and links, which could block this
/// program or fill its memory.
fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    let open = || {
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            return Err(io::Error::other("it is not a regular file of at most 64 MiB"));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).map(|_| bytes)
    };
    open().map_err(|source| EngineError::File { path: Untrusted::path(path), source })
}
