//! `cargo xtask`: wires the command line to the work.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use signal_hook::low_level::emulate_default_handler;
use xtask::cli::Cli;
use xtask::commands::failure;
use xtask::judge::exit_code::Exit;
use xtask::process::interrupt::Interrupt;
use xtask::process::message;

fn main() -> ExitCode {
    let cli = match Cli::from_command_line() {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let (done, signal) = match Interrupt::install() {
        Ok(interrupt) => (cli.command.run(&interrupt), interrupt.signal()),
        Err(error) => (Err(error.into()), None),
    };
    let exit = done.unwrap_or_else(|error| {
        let mut text = failure::message(&error);
        if signal.is_none() && !failure::has_next_step(&text) {
            text +=
                "\nnext step: remove the cause that the message names, and run the command again";
        }
        message(format_args!("error: {text}"));
        Exit::NotCarriedOut
    });
    match signal {
        Some(signal) => {
            // A death by the signal tells a shell or a parent process that the signal was handled.
            let _ = emulate_default_handler(signal);
            Exit::Interrupted(signal).into()
        }
        None => exit.into(),
    }
}
