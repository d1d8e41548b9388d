//! The reports, whole, of runs on the model: the same on every machine.
#![forbid(unsafe_code)]

use assert_cmd::Command;
use serde_json::Value;

fn report(args: &[&str], format: &str) -> String {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let assert = xtask.args(args).args(["--engine", "model", "--format", format]).assert();
    String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
}

/// The model takes no time; a slow machine may still see some pass.
fn timeless(report: &str) -> String {
    let time = regex::Regex::new(r"in [0-9.]+ (ms|s):").unwrap().replace_all(report, "in 0 ms:");
    let json = regex::Regex::new(r#"(?m)^  "duration_ms": \d+"#).unwrap();
    json.replace(&time, r#"  "duration_ms": 0"#).into_owned()
}

#[test]
fn the_report_for_people_reads_like_this() {
    insta::assert_snapshot!(timeless(&report(&["experiment"], "text")));
}

#[test]
fn the_report_for_programs_has_this_shape() {
    insta::assert_snapshot!(timeless(&report(&["experiment"], "json")));
}

#[test]
fn the_report_for_an_issue_reads_like_this() {
    insta::assert_snapshot!(timeless(&report(&["experiment"], "markdown")));
}

const PART: [&str; 3] = ["matrix", "--only", "*/container"];

#[test]
fn the_grid_for_people_reads_like_this_and_fits_its_width() {
    let report = timeless(&report(&PART, "text"));
    assert!(report.lines().all(|line| line.chars().count() <= 100), "{report}");
    insta::assert_snapshot!(report);
}

#[test]
fn the_grid_for_an_issue_reads_like_this() {
    insta::assert_snapshot!(timeless(&report(&PART, "markdown")));
}

#[test]
fn a_cell_for_programs_names_the_steps_that_answer_it() {
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
fn the_reports_for_ci_count_their_cases() {
    for (args, cases) in [(&["experiment"][..], 37), (&PART, 274)] {
        let report = report(args, "junit");
        assert_eq!(report.matches("<testcase ").count(), cases);
        assert!(report.contains(&format!(r#"tests="{cases}" failures="0" errors="0""#)));
    }
}

#[test]
fn the_page_holds_the_whole_report_and_needs_nothing_else() {
    let page = report(&PART, "html");
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    let cells = data["engines"][0]["cells"].as_array().unwrap();
    assert_eq!(cells.len(), page.matches(r#"<button type="button" class="cell "#).count());
    for outside in ["http://", "https://", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for needed in ["<meta name=\"viewport\"", "prefers-color-scheme: dark", "<dialog"] {
        assert!(page.contains(needed), "{needed}");
    }
}

#[test]
fn the_page_of_the_experiment_shows_every_step_and_escapes_what_it_shows() {
    let page = report(&["experiment"], "html");
    for id in ["start-a", "a-write", "b-list-before", "host-read"] {
        assert!(page.contains(&format!(r#"id="{id}""#)), "{id}");
    }
    assert!(page.contains("containers do not see each other's shared memory"));
    assert!(!page.contains("https://"));
}

#[test]
fn several_engines_are_in_one_report() {
    let args = ["matrix", "--only", "sysv/none/restart", "--engine", "model"];
    let report: Value = serde_json::from_str(&report(&args, "json")).unwrap();
    assert_eq!(report["engines"].as_array().unwrap().len(), 2);
}
