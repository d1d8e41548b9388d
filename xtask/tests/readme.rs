//! Runs the cheap commands of the README and its pages and compares their output. Every option in
//! them must exist.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use assert_cmd::Command;
use clap::{CommandFactory, Parser};
use regex::Regex;
use shm_cli::DEFAULT_KEY;
use shm_core::Segment;
use shm_frame::Writer;
use shm_testkit::{Suite, Trial, tools, trials};
use xtask::cli::Cli;

/// README and the pages in `docs/` that show commands.
const README: &str = concat!(
    include_str!("../../README.md"),
    include_str!("../../docs/USAGE.md"),
    include_str!("../../docs/TOOLS.md"),
    include_str!("../../docs/PERFORMANCE.md"),
    include_str!("../../docs/CONTRIBUTING.md"),
);

/// Returns the indented blocks of the README, without their indentation.
fn blocks() -> Vec<Vec<&'static str>> {
    let mut blocks = vec![vec![]];
    for line in README.lines() {
        let block = blocks.last_mut().unwrap();
        match line.strip_prefix("    ") {
            Some(line) => block.push(line),
            None if line.is_empty() && block.is_empty() => {}
            None if line.is_empty() => block.push(""),
            None => blocks.push(vec![]),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Returns the `cargo xtask` commands, as the words after `cargo`. A placeholder such as `NAME` is
/// replaced by a valid name.
fn xtask_commands() -> Vec<Vec<String>> {
    let lines = blocks().concat().into_iter();
    let commands = lines.filter_map(|line| line.strip_prefix("cargo "));
    let commands = commands.filter(|command| command.starts_with("xtask "));
    let commands = commands.map(|command| command.split('#').next().unwrap());
    let name = |word: &str| {
        let is_placeholder = word.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_placeholder { word.to_lowercase() } else { word.to_owned() }
    };
    commands.map(|command| command.split_whitespace().map(name).collect()).collect()
}

fn every_xtask_command_is_valid() {
    let commands = xtask_commands();
    assert!(commands.len() > 20, "{} commands", commands.len());
    for words in commands {
        Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

/// Returns the command in a form that runs on the model; `None` if it builds, measures, or needs an
/// engine.
fn cheap(words: &[String]) -> Option<Vec<String>> {
    let words = &words[1..];
    let has = |option: &str| words.iter().any(|word| word == option);
    match &*words[0] {
        "clean" => Some(words.to_vec()),
        "experiment" | "matrix" if has("--list") || has("--show-manifests") => Some(words.to_vec()),
        "experiment" | "matrix" if has("--base") || has("--runtime") || has("--image") => None,
        "experiment" | "matrix" => {
            let mut words = words.to_vec();
            while let Some(at) = words.iter().position(|word| word == "--engine") {
                words.drain(at..at + 2);
            }
            words.extend(["--engine", "model"].map(str::to_owned));
            Some(words)
        }
        _ => None,
    }
}

fn cheap_xtask_commands_run_on_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let commands: BTreeSet<_> = xtask_commands().iter().filter_map(|it| cheap(it)).collect();
    assert!(commands.len() > 12, "{commands:?}");
    for words in commands {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        // Without the engines of this machine and the ledgers of the user.
        xtask.args(&words).current_dir(&folder).env("PATH", folder.path());
        xtask.env("XDG_STATE_HOME", folder.path()).env("TMPDIR", folder.path());
        let assert = xtask.timeout(Duration::from_mins(1)).assert().code(0);
        let stdout = &assert.get_output().stdout;
        let output = words.iter().skip_while(|word| *word != "--output").nth(1);
        let file = output.map(|file| folder.path().join(file).metadata().unwrap().len() > 0);
        assert_eq!(!stdout.is_empty(), file.is_none(), "{words:?}");
        assert_ne!(file, Some(false), "{words:?}");
    }
}

/// Compares only the lines that are the same on every engine.
fn the_shown_reports_of_an_experiment_match_a_real_one() {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let assert = xtask.args(["experiment", "--engine", "model"]).assert().success();
    let report = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let lines: BTreeSet<_> = report.lines().map(str::trim).collect();
    let blocks = blocks();
    let same = r"^\(\d\) |^Controls|^Conclusions|^pass  |^ +\| (\w )*\w ?$|^ +\| shm(get)? ";
    let same = Regex::new(same).unwrap();
    let is_report = |block: &&Vec<&str>| block[0].starts_with("The article's experiment");
    let all: Vec<_> = blocks.iter().filter(is_report).collect();
    assert_eq!(all.len(), 2, "README has a short report, docs/USAGE.md a long one");
    for shown in all {
        let summary = shown.iter().rfind(|line| !line.is_empty()).unwrap();
        let shown: Vec<_> = shown.iter().filter(|line| same.is_match(line)).collect();
        assert!(shown.len() > 10, "{shown:?}");
        for line in shown {
            assert!(lines.contains(line.trim()), "{line:?} is not in: {report}");
        }
        let (steps, _) = summary.split_once(" in ").unwrap();
        assert!(
            report.lines().any(|line| line.starts_with(steps)),
            "{steps:?} is not in: {report}"
        );
    }
}

/// Returns the commands of the tools in a block, each with the output that the README shows.
fn transcript(block: &[&'static str]) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut transcript: Vec<(_, Vec<_>)> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), transcript.last_mut()) {
            (Some(command), _) => transcript.push((command, Vec::new())),
            (None, Some((_, output))) => output.push(*line),
            (None, None) => {}
        }
    }
    transcript
}

/// Creates the state that the first command of a block expects.
fn prepare(block: &[&str]) {
    if let Ok(segment) = Segment::find(DEFAULT_KEY) {
        segment.remove().unwrap();
    }
    if block[0].contains("--framed") {
        let limit = Duration::from_secs(1);
        let mut writer = Writer::open_or_create(DEFAULT_KEY, 1024, 0o600, limit).unwrap().0;
        for _ in 0..7 {
            writer.write(b"whole").unwrap();
        }
        // The state that a writer leaves if it dies while writing the next message.
        writer.segment().attach_writable().unwrap().write_at(16, &8_u64.to_ne_bytes()).unwrap();
    }
}

fn the_tools_print_what_the_readme_shows() {
    // The inode and id of a namespace vary, and older kernels have no id.
    let namespace = Regex::new(r"ipc:\[\d+\]( id \d+)?").unwrap();
    let known =
        |text: &str| namespace.replace_all(text.trim_matches('\n'), "NAMESPACE").into_owned();
    let blocks = blocks();
    let blocks = blocks.iter().filter(|block| block[0].starts_with("$ shm_"));
    let mut count = 0;
    for block in blocks {
        prepare(block);
        for (command, shown) in transcript(block) {
            let (tool, arguments) = command.split_once(' ').unwrap_or((command, ""));
            let script = format!("exec \"$0\" {arguments} 2>&1");
            let output = shell(&script, &tools::path(tool)).output().unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(known(&printed), known(&shown.join("\n")), "{command}");
            count += 1;
        }
    }
    assert!(count >= 5, "{count} commands");
}

fn shell(script: &str, tool: &Path) -> Command {
    shm_testkit::programs::shell(script, tool, &[])
}

/// Returns the long options of a command and its subcommands.
fn options_of(command: &clap::Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long());
    let own = own.map(str::to_owned);
    own.chain(command.get_subcommands().flat_map(options_of)).collect()
}

/// Returns the long options in a text, without their values.
fn options_in(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '-'));
    words
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|option| option.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// Options of docker; of cargo, the compiler and tests; of the kubelet; of the example `exchange`.
const OF_OTHERS: [&[&str]; 4] = [
    &["build-arg", "ipc", "name", "shm-size"],
    &["cfg", "example", "include-ignored", "lib", "package", "release", "target-dir", "test"],
    &["hostname-override"],
    &["connect", "count", "serve"],
];

fn every_option_exists() {
    let programs = [
        ("cargo xtask", options_of(&Cli::command())),
        ("shm_wr", options_of(&shm_wr::args::Args::command())),
        ("shm_rd", options_of(&shm_rd::args::Args::command())),
        ("shm_ls", options_of(&shm_ls::args::Args::command())),
    ];
    let quoted = README.split('`').skip(1).step_by(2);
    let indented = README.lines().filter_map(|line| line.strip_prefix("    "));
    let all: BTreeSet<_> = programs.iter().flat_map(|(_, options)| options.clone()).collect();
    for text in quoted.chain(indented) {
        let command = text.trim_start_matches("$ ");
        let program = programs.iter().find(|(name, _)| command.starts_with(name));
        let known = |option: &str| match program {
            Some((_, options)) => options.contains(option),
            None => all.contains(option) || OF_OTHERS.concat().contains(&option),
        };
        for option in options_in(text) {
            assert!(known(option), "--{option} in {text:?}");
        }
    }
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::here, &[] =>
            every_xtask_command_is_valid,
            cheap_xtask_commands_run_on_the_model,
            the_shown_reports_of_an_experiment_match_a_real_one,
            every_option_exists;
        Trial::isolated, &[] =>
            the_tools_print_what_the_readme_shows;
    ];
    Suite::new(trials).prepared_by(tools::environment).run()
}
