//! The exit status of the program.

use std::process::ExitCode;

/// An exit status and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: every result is as predicted.
    AsPredicted,
    /// 1: a result differs from its prediction, or is unproven.
    Differs,
    /// 2: the command could not be completed; standard error has the reason and the next step.
    NotCarriedOut,
    /// 128 plus the signal number: the signal that interrupted the program also ends it, so a
    /// shell sees 130 after Ctrl-C.
    Interrupted(i32),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::AsPredicted => Self::SUCCESS,
            Exit::Differs => Self::from(1),
            Exit::NotCarriedOut => Self::from(2),
            Exit::Interrupted(signal) => Self::from(u8::try_from(128 + signal).unwrap_or(130)),
        }
    }
}
