//! How the program ends.

use std::process::ExitCode;

/// The meaning of each exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything came out as predicted.
    AsPredicted,
    /// 1: something differs from what was predicted.
    Differs,
    /// 2: it could not be carried out; the reason and the next step are on standard error.
    NotCarriedOut,
    /// 128 plus the number of the signal that interrupted it; the program ends by that signal, so
    /// that a shell sees 130 after Ctrl-C.
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
