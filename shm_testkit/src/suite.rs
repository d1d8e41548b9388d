//! The trials of a test program.

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use libtest_mimic::{Arguments, Conclusion};

use crate::trial::{Prepared, Trial, Variables};
use crate::{count, isolation, print_line};

/// The trials of a test program, with their preparation and a last trial.
pub struct Suite {
    trials: Vec<Trial>,
    prepare: fn() -> Variables,
    threads: Option<usize>,
    last: Option<Trial>,
}

impl Suite {
    /// Creates a suite of trials without preparation.
    #[must_use]
    pub fn new(trials: Vec<Trial>) -> Self {
        Self { trials, prepare: Vec::new, threads: None, last: None }
    }

    /// Calls `prepare` once, before the first trial that runs. Isolated trials get the environment
    /// variables that it returns.
    #[must_use]
    pub fn prepared_by(self, prepare: fn() -> Variables) -> Self {
        Self { prepare, ..self }
    }

    /// Runs `threads` trials at a time, unless the command line sets another number.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads: Some(threads), ..self }
    }

    /// Runs one more trial after all others, even if the command line does not select it.
    #[must_use]
    pub fn last(self, trial: Trial) -> Self {
        Self { last: Some(trial), ..self }
    }

    /// Runs the trials that the command line selects, or the body of the trial that this program
    /// was started again for.
    #[must_use]
    pub fn run(self) -> ExitCode {
        if let Ok(name) = env::var(isolation::TRIAL) {
            return run_body(self.trials, &name);
        }
        let mut arguments = Arguments::from_args();
        arguments.test_threads = arguments.test_threads.or(self.threads);
        let prepared = Arc::new(LazyLock::new(self.prepare));
        let mut conclusion = run(&arguments, self.trials, &prepared);
        if let Some(last) = self.last.filter(|_| !arguments.list) {
            let last = run(&Arguments::default(), vec![last], &prepared);
            conclusion.num_passed += last.num_passed;
            conclusion.num_failed += last.num_failed;
        }
        if !arguments.list {
            count_trials(&conclusion);
        }
        conclusion.exit_code()
    }
}

fn run(arguments: &Arguments, trials: Vec<Trial>, prepared: &Prepared) -> Conclusion {
    let all = arguments.ignored || arguments.include_ignored;
    let trials = trials.into_iter().map(|trial| trial.for_harness(prepared, all)).collect();
    libtest_mimic::run(arguments, trials)
}

fn run_body(trials: Vec<Trial>, name: &str) -> ExitCode {
    let Some(trial) = trials.into_iter().find(|trial| trial.name == name) else {
        print_line(&format!("there is no trial {name}"));
        return ExitCode::FAILURE;
    };
    match (trial.body)() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            print_line(failed.message().unwrap_or("failed"));
            ExitCode::FAILURE
        }
    }
}

/// Prints how many trials passed, failed and were ignored. Cargo appends a hash to the program's
/// file name; the hash is left out.
fn count_trials(conclusion: &Conclusion) {
    let program = env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
    let number = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
    count(
        &format!("trials of {name}"),
        &[
            (number(conclusion.num_passed), "passed"),
            (number(conclusion.num_failed), "failed"),
            (number(conclusion.num_ignored), "ignored"),
        ],
    );
}
