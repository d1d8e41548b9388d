//! A test with a name, what it needs of the machine, and where it runs.

use std::env;
use std::ffi::OsString;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libtest_mimic::{Completion, Failed};

use crate::isolation;
use crate::need::{NAMESPACES, Need};

/// How long a trial in namespaces of its own may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Variables by which trials find what was prepared for them.
pub type Environment = Vec<(&'static str, OsString)>;

/// What is prepared before the first trial that runs.
pub(crate) type Prepared = Arc<LazyLock<Environment, fn() -> Environment>>;

/// What a body returns: nothing, or a result. It fails by a panic or by an error.
pub trait Outcome {
    /// The error, if there is one.
    ///
    /// # Errors
    ///
    /// If the body returned one.
    fn into_result(self) -> Result<(), Failed>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), Failed> {
        Ok(())
    }
}

impl Outcome for Result<(), Failed> {
    fn into_result(self) -> Result<(), Failed> {
        self
    }
}

/// A test with a name, what it needs of the machine, and where it runs.
pub struct Trial {
    pub(crate) name: String,
    needs: Vec<Need>,
    isolated: bool,
    left_out: Option<&'static str>,
    pub(crate) body: Box<dyn FnOnce() -> Result<(), Failed> + Send>,
}

impl Trial {
    /// A trial whose body runs in this program.
    pub fn here<O: Outcome>(
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

    /// A trial whose body runs in IPC, mount and pid namespaces of its own, for which this program is started again:
    /// it may use the default key, set limits and mount things. All that it leaves is gone when it ends.
    pub fn isolated<O: Outcome>(
        name: impl Into<String>,
        needs: &[Need],
        body: impl FnOnce() -> O + Send + 'static,
    ) -> Self {
        let needs = [&[NAMESPACES][..], needs].concat();
        Self { isolated: true, ..Self::here(name, &needs, body) }
    }

    /// Leaves the trial out, for this reason, unless `--include-ignored` asks for it.
    #[must_use]
    pub fn left_out(self, why: &'static str) -> Self {
        Self { left_out: Some(why), ..self }
    }

    /// The trial as the harness knows it; `all` are to run, those too that are left out.
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
            match need.look(self.isolated) {
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
