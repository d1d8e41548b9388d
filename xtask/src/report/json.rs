//! The report as JSON. Each change of its schema increments `schema_version`.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::{ConclusionResult, Report};
use crate::engine::EngineInfo;
use crate::engine::observation::{Identity, Observation, State};
use crate::judge::verdict::StepResult;
use crate::process::untrusted::{Untrusted, json};
use crate::script::{Container, Place};

#[derive(Serialize)]
struct DocumentJson<'a> {
    schema_version: u32,
    engine: &'a EngineInfo,
    script: &'a str,
    base: &'a Untrusted,
    key: String,
    duration_ms: u128,
    steps: &'a [StepResult],
    conclusions: Vec<ConclusionJson<'a>>,
    verdict: &'static str,
}

/// A step with its prediction and its observation.
#[derive(Serialize)]
struct StepJson<'a> {
    id: &'a str,
    section: &'static str,
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_of: Option<&'a str>,
    command: &'a [String],
    #[serde(flatten)]
    observed: Option<OutcomeJson<'a>>,
    duration_ms: Option<u128>,
    predicted: OutcomeJson<'a>,
    verdict: &'static str,
    reason: Option<String>,
}

/// A prediction or an observation. Bytes that are not UTF-8 become U+FFFD.
#[derive(Serialize)]
struct OutcomeJson<'a> {
    stdout: String,
    stderr: String,
    exit_code: Option<i32>,
    ipc_namespace: &'a Option<Identity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Vec<Container>>,
}

#[derive(Serialize)]
struct ConclusionJson<'a> {
    id: &'static str,
    statement: &'static str,
    evidence: Vec<&'a str>,
    predicted: Option<bool>,
    observed: Option<bool>,
    verdict: &'static str,
    reason: Option<String>,
    namespaces: Vec<NamespacesJson<'a>>,
}

#[derive(Serialize)]
struct NamespacesJson<'a> {
    place: Place,
    ipc_namespaces: &'a [Identity],
}

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let document = DocumentJson {
        schema_version: 1,
        engine: &report.engine,
        script: &report.script,
        base: &report.base,
        key: report.key.to_string(),
        duration_ms: report.duration.as_millis(),
        steps: &report.steps,
        conclusions: report.conclusions.iter().map(conclusion).collect(),
        verdict: report.word(),
    };
    json::write_pretty(out, &document)
}

impl Serialize for StepResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let observed = self.observed.as_ref();
        let step = StepJson {
            id: &self.planned.step.id,
            section: self.planned.step.section,
            place: self.planned.step.place,
            control_of: self.planned.step.control_of(),
            command: observed.map_or(&[], |observed| &observed.output.command),
            observed: observed.map(outcome),
            duration_ms: observed.map(|observed| observed.output.duration.as_millis()),
            predicted: outcome(&self.planned.predicted),
            verdict: self.verdict.word(),
            reason: self.verdict.reason(),
        };
        step.serialize(serializer)
    }
}

fn outcome(observation: &Observation) -> OutcomeJson<'_> {
    OutcomeJson {
        stdout: String::from_utf8_lossy(&observation.output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&observation.output.stderr).into_owned(),
        exit_code: observation.output.exit_code,
        ipc_namespace: &observation.namespace,
        state: observation.state,
        running: observation.running.as_ref().map(|running| running.iter().copied().collect()),
    }
}

fn conclusion(result: &ConclusionResult) -> ConclusionJson<'_> {
    let (evidence, namespaces) = (result.conclusion.evidence.iter(), result.namespaces.iter());
    ConclusionJson {
        id: result.conclusion.id,
        statement: result.conclusion.statement,
        evidence: evidence.map(|evidence| evidence.step.as_str()).collect(),
        predicted: result.predicted,
        observed: result.observed,
        verdict: result.verdict.word(),
        reason: result.verdict.reason(),
        namespaces: namespaces
            .map(|(place, identities)| NamespacesJson { place: *place, ipc_namespaces: identities })
            .collect(),
    }
}
