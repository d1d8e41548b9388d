//! Whether the programs that cargo made last are still those of the sources, without asking cargo: that
//! takes a tenth of a second, which is a good part of a run on plain namespaces.
//!
//! Beside each program cargo leaves a `.d` file that names what it was made of, for build systems that
//! want to know this (the Cargo book, "Dep-info files"). What it does not name are the manifests,
//! the lock file and cargo's configuration, which are looked at too, and the compiler: after a change of
//! that, `cargo xtask dist` builds anew.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The programs of the last build, which began at the time of the file's last change.
#[derive(Debug)]
pub struct Stamp {
    root: PathBuf,
    path: PathBuf,
}

impl Stamp {
    /// The stamp at `path`, about programs of the workspace `root`.
    #[must_use]
    pub fn new(root: &Path, path: PathBuf) -> Self {
        Self { root: root.to_owned(), path }
    }

    /// Notes that a build that began at that time made these programs.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn set(&self, began: SystemTime, executables: &[PathBuf]) -> io::Result<()> {
        let lines: Vec<_> = executables.iter().map(|it| it.to_string_lossy()).collect();
        let folder = self.path.parent().unwrap_or(&self.root);
        let file = tempfile::NamedTempFile::new_in(folder)?;
        fs::write(file.path(), lines.join("\n"))?;
        file.as_file().set_modified(began)?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// The programs of the last build, where nothing that they are made of has changed since it began.
    #[must_use]
    pub fn fresh(&self) -> Option<Vec<PathBuf>> {
        let built = modified(&self.path)?;
        let executables: Vec<_> =
            fs::read_to_string(&self.path).ok()?.lines().map(PathBuf::from).collect();
        let mut inputs = BTreeSet::from(["Cargo.toml", "Cargo.lock"].map(|it| self.root.join(it)));
        let options = [".cargo/config.toml", "rust-toolchain.toml"].map(|it| self.root.join(it));
        let mut options = BTreeSet::from(options);
        for executable in &executables {
            for source in sources(&executable.with_extension("d"))? {
                let package = source.strip_prefix(&self.root).ok()?.components().next()?;
                inputs.insert(self.root.join(package).join("Cargo.toml"));
                options.insert(self.root.join(package).join("build.rs"));
                inputs.insert(source);
            }
        }
        let is_old = |input: &PathBuf| modified(input).is_some_and(|time| time < built);
        let is_no_newer = |option: &PathBuf| modified(option).is_none_or(|time| time < built);
        let is_fresh = inputs.iter().all(is_old) && options.iter().all(is_no_newer);
        (!executables.is_empty() && is_fresh).then_some(executables)
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    File::open(path).ok()?.metadata().ok()?.modified().ok()
}

/// What a `.d` file says that its program is made of: `PROGRAM: SOURCE SOURCE`, in which a backslash is
/// before each space of a path.
fn sources(dep_info: &Path) -> Option<Vec<PathBuf>> {
    let text = fs::read_to_string(dep_info).ok()?;
    let (_, sources) = text.lines().next()?.split_once(": ")?;
    let sources = sources.replace("\\ ", "\0");
    Some(sources.split(' ').map(|it| PathBuf::from(it.replace('\0', " "))).collect())
}
