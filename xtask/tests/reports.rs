//! Whole reports of runs on the model, which are the same on every machine.
#![forbid(unsafe_code)]

use assert_cmd::Command;
use serde_json::Value;

fn report(args: &[&str], format: &str) -> String {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let assert = xtask.args(args).args(["--engine", "model", "--format", format]).assert();
    String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
}

/// Replaces the durations, which may be more than 0 ms on a slow machine.
fn without_durations(report: &str) -> String {
    let time = regex::Regex::new(r"in [0-9.]+ (ms|s):").unwrap().replace_all(report, "in 0 ms:");
    let json = regex::Regex::new(r#"(?m)^  "duration_ms": \d+"#).unwrap();
    json.replace(&time, r#"  "duration_ms": 0"#).into_owned()
}

#[test]
fn the_text_report_matches_the_snapshot() {
    insta::assert_snapshot!(without_durations(&report(&["experiment"], "text")));
}

#[test]
fn the_json_report_matches_the_snapshot() {
    insta::assert_snapshot!(without_durations(&report(&["experiment"], "json")));
}

#[test]
fn the_markdown_report_matches_the_snapshot() {
    insta::assert_snapshot!(without_durations(&report(&["experiment"], "markdown")));
}

const PART: [&str; 3] = ["matrix", "--only", "*/container"];

#[test]
fn the_text_matrix_matches_the_snapshot_and_fits_100_columns() {
    let report = without_durations(&report(&PART, "text"));
    assert!(report.lines().all(|line| line.chars().count() <= 100), "{report}");
    insta::assert_snapshot!(report);
}

#[test]
fn the_markdown_matrix_matches_the_snapshot() {
    insta::assert_snapshot!(without_durations(&report(&PART, "markdown")));
}

#[test]
fn each_json_cell_names_steps_of_its_script() {
    let report: Value = serde_json::from_str(&report(&PART, "json")).unwrap();
    let engine = &report["engines"][0];
    let cells = engine["cells"].as_array().unwrap();
    let scripts = engine["scripts"].as_array().unwrap();
    assert_eq!(cells.len(), 274);
    for cell in cells {
        let script = scripts.iter().find(|script| script["name"] == cell["script"]).unwrap();
        let ids: Vec<_> =
            script["runs"][0]["steps"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        let refused = cell["verdict"] == "refused";
        for step in cell["steps"].as_array().unwrap() {
            assert!(refused || ids.contains(&step), "{cell}");
        }
    }
}

#[test]
fn the_junit_reports_count_their_cases() {
    for (args, cases) in [(&["experiment"][..], 37), (&PART, 274)] {
        let report = report(args, "junit");
        assert_eq!(report.matches("<testcase ").count(), cases);
        assert!(report.contains(&format!(r#"tests="{cases}" failures="0" errors="0""#)));
    }
}

#[test]
fn the_html_page_contains_the_whole_report_and_loads_nothing() {
    let page = report(&PART, "html");
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    let cells = data["engines"][0]["cells"].as_array().unwrap();
    assert_eq!(cells.len(), page.matches(r#"<button type="button" class="cell "#).count());
    for outside in ["http://", "https://", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for needed in
        ["<meta name=\"viewport\"", "prefers-color-scheme: dark", "<dialog", ".cell.bad {"]
    {
        assert!(page.contains(needed), "{needed}");
    }
}

#[test]
fn the_html_page_of_the_experiment_shows_its_steps() {
    let page = report(&["experiment"], "html");
    for id in ["start-a", "a-write", "b-list-before", "host-read"] {
        assert!(page.contains(&format!(r#"id="{id}""#)), "{id}");
    }
    assert!(page.contains("containers do not see each other's shared memory"));
    assert!(!page.contains("https://"));
}

#[test]
fn one_report_contains_several_engines() {
    let args = ["matrix", "--only", "sysv/none/restart", "--engine", "model"];
    let report: Value = serde_json::from_str(&report(&args, "json")).unwrap();
    assert_eq!(report["engines"].as_array().unwrap().len(), 2);
}
