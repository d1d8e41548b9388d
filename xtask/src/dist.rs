//! `cargo xtask dist`: the three tools as static binaries, with completions and manual pages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::CommandFactory;
use clap_complete::Shell;
use serde::Deserialize;

use crate::interrupt::Interrupt;
use crate::invocation::Invocation;

/// The tools, each of which is a package of the workspace.
pub const TOOLS: [&str; 3] = ["shm_wr", "shm_rd", "shm_ls"];

/// A cold build on a slow machine.
const BUILD_TIMEOUT: Duration = Duration::from_mins(20);

/// The folder with the static binaries.
#[derive(Clone, Debug)]
pub struct Dist {
    folder: PathBuf,
}

/// What is of interest in a line of `cargo build --message-format=json`.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

impl Dist {
    /// Builds the tools, where they are not up to date, and puts them into `dist/`.
    ///
    /// # Errors
    ///
    /// Where cargo fails, or the files cannot be written.
    pub fn build(interrupt: &Interrupt) -> Result<Self> {
        let Self { folder } = Self::as_it_is();
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for executable in compile(interrupt)? {
            install(&executable, &folder)
                .with_context(|| format!("cannot copy {} to dist/", executable.display()))?;
        }
        Ok(Self { folder })
    }

    /// The folder as it is, up to date or not.
    #[must_use]
    pub fn as_it_is() -> Self {
        Self { folder: root().join("dist") }
    }

    /// The path of a tool.
    #[must_use]
    pub fn tool(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The workspace, which has the Dockerfile and is the context of its build.
    #[must_use]
    pub fn context(&self) -> PathBuf {
        root()
    }

    /// Writes completions and manual pages beside the tools.
    ///
    /// # Errors
    ///
    /// Where the files cannot be written.
    pub fn document(&self) -> io::Result<()> {
        let commands = [
            shm_wr::args::Args::command(),
            shm_rd::args::Args::command(),
            shm_ls::args::Args::command(),
        ];
        let completions = self.folder.join("completions");
        fs::create_dir_all(&completions)?;
        let manual = self.folder.join("man");
        fs::create_dir_all(&manual)?;
        for (mut command, name) in commands.into_iter().zip(TOOLS) {
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                clap_complete::generate_to(shell, &mut command, name, &completions)?;
            }
            clap_mangen::generate_to(command, &manual)?;
        }
        Ok(())
    }
}

/// The workspace's folder, as it was when this program was built.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Compiles the tools and says where cargo put them.
fn compile(interrupt: &Interrupt) -> Result<Vec<PathBuf>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let target = target(interrupt)?;
    let manifest = root().join("Cargo.toml").to_string_lossy().into_owned();
    // A target folder of its own: cargo keeps one set of flags for each, and forgets the other.
    let folder = root().join("target/static").to_string_lossy().into_owned();
    let mut args = vec!["build", "--quiet", "--profile", "dist", "--manifest-path", &manifest];
    args.extend(["--target-dir", &folder]);
    args.extend(["--target", &target, "--message-format=json-render-diagnostics"]);
    args.extend(TOOLS.iter().flat_map(|tool| ["--package", tool]));
    // Static, and at a fixed address: a fixed one needs no relocation at each start, which is a
    // quarter of what a short-lived static program does (26,000 of 113,000 instructions).
    let flags = "-C target-feature=+crt-static -C relocation-model=static";
    let transcript = Invocation::new(&cargo, args)
        .env("RUSTFLAGS", flags.to_owned())
        // It would win over ours.
        .unset("CARGO_ENCODED_RUSTFLAGS")
        .timeout(BUILD_TIMEOUT)
        .show_stderr()
        .run(interrupt)?;
    if !transcript.succeeded() {
        bail!("`{}` failed; its messages are above", transcript.command_line());
    }
    let stdout = String::from_utf8_lossy(&transcript.stdout);
    let messages = stdout.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let executables: Vec<_> = messages.filter_map(|message| message.executable).collect();
    if executables.len() != TOOLS.len() {
        bail!("cargo made {} programs where {} were expected", executables.len(), TOOLS.len());
    }
    Ok(executables)
}

/// The target to compile for: musl where rustup has it, for it makes the smaller binaries.
fn target(interrupt: &Interrupt) -> Result<String> {
    let architecture = std::env::consts::ARCH;
    let musl = format!("{architecture}-unknown-linux-musl");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let libraries =
        Invocation::new(&rustc, ["--print", "target-libdir", "--target", &musl]).run(interrupt)?;
    let installed = libraries.succeeded() && Path::new(&libraries.text()).is_dir();
    Ok(if installed { musl } else { format!("{architecture}-unknown-linux-gnu") })
}

/// Copies a binary unless the same is there already. It is replaced in one step, so that another
/// run that is just starting the old one is not disturbed.
fn install(executable: &Path, folder: &Path) -> Result<()> {
    let name = executable.file_name().context("a program without a name")?;
    let (new, target) = (fs::read(executable)?, folder.join(name));
    if fs::read(&target).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let temporary = tempfile::NamedTempFile::new_in(folder)?;
    fs::copy(executable, temporary.path())?;
    temporary.persist(target)?;
    Ok(())
}
