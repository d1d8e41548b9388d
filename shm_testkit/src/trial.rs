//! Tests with a name, requirements on the machine, and a place to run.

use std::env;
use std::ffi::OsString;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libtest_mimic::{Completion, Failed};

use crate::isolation;
use crate::need::{NAMESPACES, Need};

/// How long an isolated trial may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Environment variables that tell trials what was prepared for them.
pub type Variables = Vec<(&'static str, OsString)>;

/// The preparation, evaluated before the first trial that runs.
pub(crate) type Prepared = Arc<LazyLock<Variables, fn() -> Variables>>;

/// The return type of a body: `()` or a result. A body fails by a panic or by an error.
pub trait TrialResult {
    /// Converts the outcome into a result.
    ///
    /// # Errors
    ///
    /// If the body returned an error.
    fn into_result(self) -> Result<(), Failed>;
}

impl TrialResult for () {
    fn into_result(self) -> Result<(), Failed> {
        Ok(())
    }
}

impl TrialResult for Result<(), Failed> {
    fn into_result(self) -> Result<(), Failed> {
        self
    }
}

/// A test with a name, requirements on the machine, and a place to run.
pub struct Trial {
    pub(crate) name: String,
    needs: Vec<Need>,
    isolated: bool,
    left_out: Option<&'static str>,
    pub(crate) body: Box<dyn FnOnce() -> Result<(), Failed> + Send>,
}

impl Trial {
    /// Creates a trial whose body runs in this process.
    pub fn here<O: TrialResult>(
        name: impl Into<String>,
        needs: &[Need],
        body: impl FnOnce() -> O + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            needs: needs.to_vec(),
            isolated: false,
            left_out: None,
            body: Box::new(|| body().into_result()),
        }
    }

    /// Creates a trial whose body runs in private IPC, mount and PID namespaces, in another process
    /// of this program. It may use the default key, set limits and mount file systems: the kernel
    /// removes everything with the namespaces.
    pub fn isolated<O: TrialResult>(
        name: impl Into<String>,
        needs: &[Need],
        body: impl FnOnce() -> O + Send + 'static,
    ) -> Self {
        let needs = [&[NAMESPACES][..], needs].concat();
        Self { isolated: true, ..Self::here(name, &needs, body) }
    }

    /// Ignores the trial with this reason, unless `--ignored` or `--include-ignored` is given.
    #[must_use]
    pub fn left_out(self, why: &'static str) -> Self {
        Self { left_out: Some(why), ..self }
    }

    /// Converts the trial into the harness's type. With `all`, left-out trials run too.
    pub(crate) fn for_harness(self, prepared: &Prepared, all: bool) -> libtest_mimic::Trial {
        let (name, left_out) = (self.name.clone(), self.left_out);
        let prepared = Arc::clone(prepared);
        let trial = libtest_mimic::Trial::ignorable_test(name, move || match left_out {
            Some(why) if !all => Ok(Completion::ignored_with(why)),
            _ => self.run(&prepared),
        });
        trial.with_ignored_flag(all && left_out.is_some())
    }

    fn run(self, prepared: &Prepared) -> Result<Completion, Failed> {
        for need in &self.needs {
            match need.check(self.isolated) {
                Ok(()) => {}
                Err(reason) if need.is_required() => return Err(reason.into()),
                Err(reason) => return Ok(Completion::ignored_with(reason)),
            }
        }
        let environment = LazyLock::force(prepared);
        if self.isolated {
            let mut command = isolation::command(env::current_exe()?);
            command.envs(environment.iter().cloned()).timeout(PATIENCE);
            isolation::run_body(command, &self.name)?;
        } else {
            (self.body)()?;
        }
        Ok(Completion::Completed)
    }
}

/// Trials named after their functions: `trials![Trial::isolated, &[LIMITS] => one, two; ...]`.
#[macro_export]
macro_rules! trials {
    ($($place:path, $needs:expr => $($name:ident),+ $(,)?;)+) => {
        vec![$($($place(stringify!($name), $needs, $name),)+)+]
    };
}
