//! The message of a command that could not be carried out: each cause once, the next step last.

use crate::engine::{EngineError, EngineKind, hints};

const NEXT_STEP: &str = "next step: ";

/// Returns the causes of an error, from the outermost to the innermost, then the lines with the
/// next step. Leaves out a cause that the message before it quotes, as those of system calls.
#[must_use]
pub fn message(error: &anyhow::Error) -> String {
    let (mut causes, mut next_steps) = (Vec::<String>::new(), Vec::new());
    for cause in error.chain() {
        let text = cause.to_string();
        let (steps, lines): (Vec<_>, Vec<_>) =
            text.lines().partition(|line| line.starts_with(NEXT_STEP));
        let cause = lines.join("\n");
        if !cause.is_empty() && !causes.last().is_some_and(|it| it.contains(&cause)) {
            causes.push(cause);
        }
        for step in steps {
            if !next_steps.iter().any(|it| it == step) {
                next_steps.push(step.to_owned());
            }
        }
    }
    [&[causes.join(": ")][..], &next_steps].concat().join("\n")
}

/// Returns whether a message has a line with a next step.
#[must_use]
pub fn has_next_step(message: &str) -> bool {
    message.lines().any(|line| line.starts_with(NEXT_STEP))
}

/// Adds the next step for an error of an engine outside of a run.
pub(crate) fn with_next_step(kind: EngineKind, error: EngineError) -> anyhow::Error {
    match hints::next_step(kind, &error) {
        Some(step) => anyhow::Error::from(error).context(format!("{NEXT_STEP}{step}")),
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};

    use super::{has_next_step, message};

    #[test]
    fn each_cause_comes_once_and_the_next_step_last() {
        let denied = io::Error::from_raw_os_error(13);
        let quoted = anyhow!(denied).context("cannot write a: Permission denied (os error 13)");
        let advised = Err::<(), _>(quoted).context("the report\nnext step: choose another file");
        assert_eq!(
            message(&advised.unwrap_err()),
            "the report: cannot write a: Permission denied (os error 13)\n\
             next step: choose another file"
        );
    }

    #[test]
    fn a_quoted_next_step_of_another_program_is_none() {
        assert!(has_next_step("it failed\nnext step: try again"));
        assert!(!has_next_step("it failed\n  docker: next step: try again"));
    }
}
