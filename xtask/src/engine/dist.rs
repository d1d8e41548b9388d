//! The three tools as static binaries, built by cargo.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{Access, access, statvfs};
use serde::Deserialize;

use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, InvocationError};
use crate::process::untrusted::Untrusted;

/// The tools: packages of the workspace.
pub const TOOLS: [&str; 3] = ["shm_wr", "shm_rd", "shm_ls"];

/// The time limit of a clean build on a slow machine.
const BUILD_TIMEOUT: Duration = Duration::from_mins(20);

/// The folder `dist` of a checkout, with the static binaries.
#[derive(Clone, Debug)]
pub struct Dist {
    root: PathBuf,
}

/// A line of `cargo build --message-format=json`, as far as it is used.
#[derive(Deserialize)]
struct CargoMessage {
    executable: Option<PathBuf>,
}

impl Dist {
    /// Builds the tools of this checkout, copies them to `dist/` and returns that folder. Cargo
    /// compiles only changed sources.
    ///
    /// # Errors
    ///
    /// Fails if cargo fails, or if a file cannot be written.
    pub fn current(interrupt: &Interrupt) -> Result<Self> {
        let dist = Self::existing();
        let wanted: Vec<_> = TOOLS.iter().flat_map(|tool| ["--package", tool]).collect();
        let executables = cargo_build(&dist.root, &wanted, interrupt)?;
        if executables.len() != TOOLS.len() {
            bail!("cargo built {} programs instead of {}", executables.len(), TOOLS.len());
        }
        let folder = dist.folder();
        let failed = || format!("cannot create {}\n{}", Untrusted::path(&folder), advice(&folder));
        fs::create_dir_all(&folder).with_context(failed)?;
        for executable in &executables {
            let executable_name = Untrusted::path(executable);
            let failed = || format!("cannot copy {executable_name} to dist/\n{}", advice(&folder));
            install(executable, &folder).with_context(failed)?;
        }
        Ok(dist)
    }

    /// Builds an example of a package like the tools. Returns its path.
    ///
    /// # Errors
    ///
    /// Fails if cargo fails.
    pub fn example(&self, package: &str, name: &str, interrupt: &Interrupt) -> Result<PathBuf> {
        let wanted = ["--package", package, "--example", name];
        let made = cargo_build(&self.root, &wanted, interrupt)?.pop();
        made.with_context(|| format!("cargo built no program for the example {name}"))
    }

    /// Returns the folder of the checkout in which this program was built, without building.
    #[must_use]
    pub fn existing() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::of_checkout(package.parent().unwrap_or(package))
    }

    /// Returns the folder of another checkout of this workspace, without building.
    #[must_use]
    pub fn of_checkout(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Returns the path of a tool.
    #[must_use]
    pub fn tool(&self, name: &str) -> String {
        self.folder().join(name).to_string_lossy().into_owned()
    }

    /// Returns the build context of the Dockerfile: the workspace's folder.
    #[must_use]
    pub fn context(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.join("dist")
    }
}

/// Compiles static programs, selected by cargo's options in `wanted`, and returns their paths.
fn cargo_build(root: &Path, wanted: &[&str], interrupt: &Interrupt) -> Result<Vec<PathBuf>> {
    // The user's time limit is for commands of an engine, not for a build.
    let interrupt = &interrupt.with_limit(None);
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let target = target(interrupt)?;
    let manifest = root.join("Cargo.toml").to_string_lossy().into_owned();
    // A separate target folder: other flags in the same folder would cause a rebuild.
    let target_folder = root.join("target/static");
    let folder = target_folder.to_string_lossy().into_owned();
    let mut args = vec!["build", "--quiet", "--profile", "dist", "--manifest-path", &manifest];
    args.extend(["--target-dir", &folder]);
    args.extend(["--target", &target, "--message-format=json-render-diagnostics"]);
    args.extend(wanted);
    // Static, and at a fixed address: that saves the relocation at each start (26,000 instructions
    // of the 166,000 that `shm_wr hello_world` takes).
    let flags = "-C target-feature=+crt-static -C relocation-model=static";
    let output = Invocation::new(&cargo, args)
        .env("RUSTFLAGS", flags.to_owned())
        // It overrides RUSTFLAGS.
        .unset("CARGO_ENCODED_RUSTFLAGS")
        .timeout(BUILD_TIMEOUT)
        .show_stderr()
        .run(interrupt)
        .map_err(not_run)?;
    if !output.succeeded() {
        let (command, advice) = (output.command_line(), advice(&target_folder));
        bail!("`{command}` failed: see its messages above\n{advice}");
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let messages =
        stdout.lines().filter_map(|line| serde_json::from_str::<CargoMessage>(line).ok());
    Ok(messages.filter_map(|message| message.executable).collect())
}

/// Returns the target to compile for: musl if it is installed, because its binaries are smaller.
fn target(interrupt: &Interrupt) -> Result<String> {
    let architecture = std::env::consts::ARCH;
    let musl = format!("{architecture}-unknown-linux-musl");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let libraries = Invocation::new(&rustc, ["--print", "target-libdir", "--target", &musl])
        .run(interrupt)
        .map_err(not_run)?;
    let folder = Path::new(OsStr::from_bytes(libraries.stdout.trim_ascii()));
    let installed = libraries.succeeded() && folder.is_dir();
    Ok(if installed { musl } else { format!("{architecture}-unknown-linux-gnu") })
}

/// Adds the next step for a compiler that cannot be started.
fn not_run(error: InvocationError) -> anyhow::Error {
    let next_step = match &error {
        InvocationError::NotFound { .. } => {
            "next step: install Rust, or add the folder with cargo and rustc to PATH"
        }
        InvocationError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "next step: this user may not run the program that PATH names: install Rust for this \
             user, or run this as the user who installed it"
        }
        _ => return error.into(),
    };
    anyhow::Error::from(error).context(next_step)
}

/// Free space below which a failed write is explained by it, in bytes.
const LITTLE_SPACE: u64 = 64 << 20;

/// Returns the line with the next step after a failure to write below a folder: whether there is
/// space, and whether this user may write there.
fn advice(folder: &Path) -> String {
    let existing = folder.ancestors().find(|it| it.exists()).unwrap_or(folder);
    let name = Untrusted::path(existing);
    let space = statvfs(existing).map(|it| it.f_bavail.saturating_mul(it.f_frsize));
    if let Some(free) = space.ok().filter(|free| *free < LITTLE_SPACE) {
        return format!("next step: free space in {name}, where {} MiB are left", free >> 20);
    }
    if let Err(error) = access(existing, Access::WRITE_OK) {
        let owner = existing
            .metadata()
            .map_or_else(|_| "another user".to_owned(), |it| format!("user {}", it.uid()));
        return format!(
            "next step: this user may not write in {name}, which belongs to {owner} ({}): use a \
             checkout of your own, or run this as {owner}",
            std::io::Error::from(error)
        );
    }
    "next step: correct what the messages name".to_owned()
}

/// Copies a binary unless the folder has the same one. Atomic: another run may start the old file.
fn install(executable: &Path, folder: &Path) -> Result<()> {
    let name = executable.file_name().context("the program has no file name")?;
    let (new, target) = (fs::read(executable)?, folder.join(name));
    if fs::read(&target).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    fs::copy(executable, temporary.path())?;
    temporary.persist(target)?;
    Ok(())
}
