//! The tools and hostile memory: of any size, with any bytes, changed while they use it. Each trial
//! runs in private namespaces. Under the kernel's resource limits the tools must work or say why
//! they cannot.
#![forbid(unsafe_code)]

mod bounds;
mod faults;
mod files;
mod meanwhile;
mod memcheck;
mod random;
mod segments;

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, thread};

use assert_cmd::Command;
use clap::Parser;
use serde_json::Value;
use shm_core::Descriptor;
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::{Suite, tools};
use xtask::engine::dist::Dist;

/// The variable that tells trials that the static tools are built.
const BUILT: &str = "SHM_TEST_DIST";

/// Builds the static tools and those for valgrind; returns the variables to find them.
fn environment() -> Vec<(&'static str, OsString)> {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let mut build = Command::new(env!("CARGO_BIN_EXE_xtask"));
        build.arg("dist").timeout(Duration::from_mins(20)).assert().success();
    });
    let mut variables = tools::environment();
    variables.push((BUILT, "1".into()));
    variables
}

/// Returns the path of a static tool, the form that images contain.
fn static_path(name: &str) -> PathBuf {
    assert!(env::var_os(BUILT).is_some(), "the static tools are only built for isolated trials");
    Dist::existing().tool(name).into()
}

/// Returns a command for a static tool under a limit of `prlimit(1)`, such as `--data=4194304`.
fn limited(limit: &str, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(limit).arg("--").arg(static_path(name)).args(arguments);
    command.timeout(Duration::from_secs(40));
    command
}

/// The result of a tool: its exit status and its output.
#[derive(Debug, PartialEq, Eq)]
struct ToolOutput {
    status: u8,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl ToolOutput {
    /// Parses standard output, which must be one JSON object that agrees with the exit status.
    #[track_caller]
    fn json(&self) -> Value {
        let text = self.stdout.strip_suffix(b"\n").unwrap_or_default();
        let object: Value =
            serde_json::from_slice(text).unwrap_or_else(|it| panic!("{it}: {self:?}"));
        assert_eq!(object["ok"], Value::Bool(self.status == 0), "{self:?}");
        assert_eq!(object["error"].is_null(), self.status == 0, "{self:?}");
        object
    }
}

/// Runs `shm_wr` in this process; `feed` writes its standard input.
fn write_from(args: &shm_wr::args::Args, feed: impl FnOnce(PipeWriter) + Send) -> ToolOutput {
    let (reader, writer) = io::pipe().unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = thread::scope(|scope| {
        scope.spawn(|| feed(writer));
        // Dropped before the scope joins the feeder, whose writes then fail instead of blocking.
        let reader = reader;
        shm_wr::run::run(args, Descriptor(reader.as_fd()), &mut stdout, &mut stderr)
    });
    ToolOutput { status, stdout, stderr }
}

/// Runs `shm_wr` with these bytes as input. Returns `None` if the command line is invalid.
fn write(arguments: &[OsString], stdin: &[u8]) -> Option<ToolOutput> {
    let name = OsString::from("shm_wr");
    let args = shm_wr::args::Args::try_parse_from([&name].into_iter().chain(arguments)).ok()?;
    // The tool may stop reading early.
    Some(write_from(&args, |mut writer| _ = writer.write_all(stdin)))
}

/// Runs `shm_rd` in this process; `drain` reads its standard output.
fn read_to(
    args: &shm_rd::args::Args,
    terminal: bool,
    drain: impl FnOnce(PipeReader) -> Vec<u8> + Send,
) -> ToolOutput {
    let (reader, writer) = io::pipe().unwrap();
    let mut stderr = Vec::new();
    thread::scope(|scope| {
        let drained = scope.spawn(|| drain(reader));
        let status = shm_rd::run::run(args, terminal, Descriptor(writer.as_fd()), &mut stderr);
        drop(writer);
        ToolOutput { status, stdout: drained.join().unwrap(), stderr }
    })
}

/// Reads the rest of a pipe.
fn rest(mut reader: PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Runs `shm_rd` and reads all of its output. Returns `None` if the command line is invalid.
fn read(arguments: &[OsString]) -> Option<ToolOutput> {
    let name = OsString::from("shm_rd");
    let args = shm_rd::args::Args::try_parse_from([&name].into_iter().chain(arguments)).ok()?;
    Some(read_to(&args, false, rest))
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Mounts a tmpfs of a size such as `64k` over /dev/shm.
fn mount(size: &str) {
    mount_tmpfs("/dev/shm", &format!("size={size},mode=1777"));
}

fn main() -> ExitCode {
    let themes = [
        segments::trials(),
        bounds::trials(),
        faults::trials(),
        files::trials(),
        meanwhile::trials(),
        random::trials(),
        memcheck::trials(),
    ];
    Suite::new(themes.into_iter().flatten().collect()).prepared_by(environment).run()
}
