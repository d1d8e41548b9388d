//! Validates the `JUnit` reports against their schema with xmllint from libxml2.

use assert_cmd::Command;
use shm_testkit::{Failed, Need, Trial};

use crate::machine::xtask;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/junit.xsd");

/// Debian has xmllint in the package libxml2-utils.
const XMLLINT: Need = Need::engine("xmllint", "xmllint --version");

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::here(
            "xmllint::the_junit_report_of_the_matrix_follows_the_schema",
            &[XMLLINT],
            || follows(&["matrix", "--engine", "namespaces", "--engine", "model"]),
        ),
        Trial::here(
            "xmllint::the_junit_report_of_the_experiment_follows_the_schema",
            &[XMLLINT],
            || follows(&["experiment", "--engine", "model"]),
        ),
        Trial::here("xmllint::the_schema_rejects_an_invalid_report", &[XMLLINT], broken),
    ]
}

fn broken() -> Result<(), Failed> {
    let report = report(&["experiment", "--engine", "model"])?;
    let broken = report.replace("<testcase ", "<testcases ");
    assert!(validate(&broken)?.is_some(), "xmllint accepted an invalid report");
    Ok(())
}

fn report(args: &[&str]) -> Result<String, Failed> {
    let output = xtask().args(args).args(["--format", "junit"]).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

fn follows(args: &[&str]) -> Result<(), Failed> {
    assert_eq!(validate(&report(args)?)?, None);
    Ok(())
}

/// Returns the errors of a report that does not follow the schema, or `None`.
fn validate(report: &str) -> Result<Option<String>, Failed> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), report)?;
    let mut xmllint = Command::new("xmllint");
    let output = xmllint.args(["--noout", "--schema", SCHEMA]).arg(file.path()).output()?;
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((!output.status.success()).then_some(why))
}
