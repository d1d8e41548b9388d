//! kubectl, for one namespace of one cluster.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::kubernetes::failure::classify;
use crate::engine::{CommandFailure, EngineError};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output};

/// How kubectl is called.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The options with which it finds the cluster.
    pub(crate) access: Vec<String>,
    pub(crate) namespace: String,
    pub(crate) interrupt: Interrupt,
}

/// A list as the API has it.
#[derive(Deserialize)]
pub(crate) struct List<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
}

impl Client {
    pub(crate) fn kubectl(&self, args: &[&str]) -> Invocation {
        let access = self.access.iter().map(String::as_str);
        let args = access.chain(["--namespace", &self.namespace]).chain(args.iter().copied());
        Invocation::new("kubectl", args)
    }

    pub(crate) fn invoke(&self, args: &[&str]) -> Result<Output, EngineError> {
        Ok(self.kubectl(args).run(&self.interrupt)?)
    }

    /// Has an object made; what the cluster refuses is an answer.
    pub(crate) fn create(&self, object: &impl Serialize) -> Result<Output, EngineError> {
        let text = serde_json::to_vec(object).unwrap_or_default();
        let create = self.kubectl(&["create", "--filename", "-"]).stdin(text);
        Ok(create.run(&self.interrupt)?)
    }

    /// What is there of a kind, by its labels.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        kind: &str,
        selector: &str,
    ) -> Result<Vec<T>, EngineError> {
        let get = ["get", kind, "--output", "json", "--selector", selector];
        let output = self.invoke(&get)?;
        if !output.succeeded() {
            return Err(failed("the cluster does not answer", output).into());
        }
        let list: List<T> = parse(&output)?;
        Ok(list.items)
    }
}

/// The error for a command of kubectl's that failed.
pub(crate) fn failed(what: impl Into<String>, output: Output) -> CommandFailure {
    CommandFailure::new(what, classify(&output), output)
}

/// What kubectl printed, which must be JSON.
pub(crate) fn parse<T: DeserializeOwned>(output: &Output) -> Result<T, EngineError> {
    serde_json::from_slice(&output.stdout).map_err(|error| EngineError::Unexpected {
        command: output.command_line(),
        answer: error.to_string().into(),
    })
}
