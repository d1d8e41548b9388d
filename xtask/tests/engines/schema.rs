//! The reports for CI servers against their schema, with xmllint from libxml2.

use assert_cmd::Command;
use shm_testkit::{Failed, Need, Trial};

use crate::machine::xtask;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/junit.xsd");

/// Debian has it in libxml2-utils.
const XMLLINT: Need = Need::engine("xmllint", "xmllint --version");

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::here("xmllint::the_matrix_for_ci_follows_the_schema", &[XMLLINT], || {
            follows(&["matrix", "--engine", "namespaces", "--engine", "model"])
        }),
        Trial::here("xmllint::the_experiment_for_ci_follows_the_schema", &[XMLLINT], || {
            follows(&["experiment", "--engine", "model"])
        }),
        Trial::here("xmllint::the_schema_tells_a_report_that_is_none", &[XMLLINT], broken),
    ]
}

fn broken() -> Result<(), Failed> {
    let report = report(&["experiment", "--engine", "model"])?;
    let broken = report.replace("<testcase ", "<testcases ");
    assert!(validate(&broken)?.is_some(), "it was taken");
    Ok(())
}

fn report(args: &[&str]) -> Result<String, Failed> {
    let output = xtask().args(args).args(["--format", "junit"]).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

fn follows(args: &[&str]) -> Result<(), Failed> {
    match validate(&report(args)?)? {
        None => Ok(()),
        Some(why) => Err(why.into()),
    }
}

/// Why a report does not follow the schema.
fn validate(report: &str) -> Result<Option<String>, Failed> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), report)?;
    let mut xmllint = Command::new("xmllint");
    let output = xmllint.args(["--noout", "--schema", SCHEMA]).arg(file.path()).output()?;
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((!output.status.success()).then_some(why))
}
