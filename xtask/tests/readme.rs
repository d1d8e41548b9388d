//! What the README tells to type is what the programs take.
#![forbid(unsafe_code)]

use clap::{CommandFactory, Parser};
use xtask::cli::Cli;

const README: &str = include_str!("../../README.md");

/// The commands in indented blocks, without their comments and prompts.
fn commands() -> Vec<Vec<&'static str>> {
    let lines = README.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = lines.map(|line| line.split('#').next().unwrap_or(line));
    commands.map(|line| line.trim_start_matches("$ ").split_whitespace().collect()).collect()
}

/// What stands for a name, such as `NAME`, as a name.
fn filled_in(word: &str) -> String {
    let stands_for_one = word.bytes().all(|byte| byte.is_ascii_uppercase());
    if stands_for_one { word.to_lowercase() } else { word.to_owned() }
}

#[test]
fn every_xtask_command_is_one() {
    let mut count = 0;
    for command in commands().iter().filter(|words| words.starts_with(&["cargo", "xtask"])) {
        let words = command[1..].iter().map(|word| filled_in(word));
        Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        count += 1;
    }
    assert!(count > 5, "{count} commands");
}

#[test]
fn every_option_of_a_tool_that_is_named_exists() {
    let tools = [
        shm_wr::args::Args::command(),
        shm_rd::args::Args::command(),
        shm_ls::args::Args::command(),
    ];
    let known = |option: &str| {
        let mut options = tools.iter().flat_map(clap::Command::get_arguments);
        options.any(|argument| argument.get_long() == Some(option))
    };
    let section = README.split("## The tools").nth(1).unwrap().split("### ").next().unwrap();
    let items = section.lines().filter(|line| line.starts_with("- ") || line.starts_with("  `"));
    for item in items {
        for quoted in item.split('`').skip(1).step_by(2) {
            for word in quoted.split([' ', '[', '=']).filter_map(|word| word.strip_prefix("--")) {
                assert!(known(word), "--{word} in {item:?}");
            }
        }
    }
}

#[test]
fn the_transcript_is_of_a_run_on_the_script_as_it_is() {
    let script = xtask::script::article::script(shm_core::Key::DEFAULT, &[], "fresh");
    for conclusion in &script.conclusions {
        let line = format!("pass  {}: {}", conclusion.id, conclusion.statement);
        assert!(README.contains(&line), "{line}");
    }
    let summary = format!("{} steps and 3 conclusions in ", script.steps().count());
    assert!(README.contains(&summary), "{summary}");
}
