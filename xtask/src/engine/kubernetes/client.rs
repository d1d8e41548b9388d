//! kubectl, for one namespace of one cluster.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::kubernetes::failure::classify;
use crate::engine::{CommandFailure, EngineError};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output};

/// A caller of kubectl.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The options that select the cluster.
    pub(crate) access: Vec<String>,
    pub(crate) namespace: String,
    pub(crate) interrupt: Interrupt,
}

/// A list of the API.
#[derive(Deserialize)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
}

impl Client {
    pub(crate) fn kubectl(&self, args: &[&str]) -> Invocation {
        kubectl(&self.access, &[&["--namespace", &self.namespace], args].concat())
    }

    pub(crate) fn invoke(&self, args: &[&str]) -> Result<Output, EngineError> {
        Ok(self.kubectl(args).run(&self.interrupt)?)
    }

    /// Creates an object. A refusal of the cluster is in the output, not an error.
    pub(crate) fn create(&self, object: &Value) -> Result<Output, EngineError> {
        let text = object.to_string().into_bytes();
        let create = self.kubectl(&["create", "--filename", "-"]).stdin(text);
        Ok(create.run(&self.interrupt)?)
    }

    /// Lists the objects of a kind with these labels.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        kind: &str,
        selector: &str,
    ) -> Result<Vec<T>, EngineError> {
        let get = ["get", kind, "--output", "json", "--selector", selector];
        let output = self.invoke(&get)?;
        if !output.succeeded() {
            return Err(failed(format!("cannot list {kind}"), output).into());
        }
        let list: List<T> = parse(&output)?;
        Ok(list.items)
    }
}

/// Returns a kubectl command for the cluster that the options `access` select.
pub(crate) fn kubectl(access: &[String], args: &[&str]) -> Invocation {
    Invocation::new("kubectl", access.iter().map(String::as_str).chain(args.iter().copied()))
}

/// Returns the error for a failed kubectl command.
pub(crate) fn failed(what: impl Into<String>, output: Output) -> CommandFailure {
    CommandFailure::new(what, classify(&output), output)
}

/// Parses the JSON that kubectl printed.
pub(crate) fn parse<T: DeserializeOwned>(output: &Output) -> Result<T, EngineError> {
    serde_json::from_slice(&output.stdout).map_err(|error| EngineError::Unexpected {
        command: output.command_line(),
        answer: error.to_string().into(),
    })
}
