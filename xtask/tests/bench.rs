//! The benchmark: its statistics, the formats of its table for fixed values, and a small run. No
//! test checks a speed.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use anyhow::bail;
use assert_cmd::Command;
use serde_json::Value;
use xtask::commands::bench::experiment::replay;
use xtask::commands::bench::interleave::interleave;
use xtask::commands::bench::measurement::{
    BenchGroup, BenchRow, Limit, Measurement, Stats, TargetStatus, Unit,
};
use xtask::commands::bench::report::{self, BenchForm};
use xtask::process::labels::RunId;

fn side(of: &str, values: &[f64], command: &str) -> Measurement {
    let value = Stats::of(values).unwrap();
    Measurement { of: of.to_owned(), value, command: command.to_owned() }
}

fn row(
    (group, name, unit): (BenchGroup, &str, Unit),
    sides: impl IntoIterator<Item = Measurement>,
    target: Option<Limit>,
) -> BenchRow {
    let mut sides = sides.into_iter();
    let (ours, baseline) = (sides.next(), sides.next());
    let median = |side: &Option<Measurement>| side.as_ref().map(|it| it.value.median);
    let ratio = median(&ours).zip(median(&baseline)).map(|(ours, it)| ours / it);
    let ratio = ratio.and_then(|ratio| Stats::of(&[ratio]));
    let status = TargetStatus::of(target, ours.as_ref().map(|it| it.value), ratio);
    let (name, skipped) = (name.to_owned(), None);
    BenchRow { group, name, unit, ours, baseline, ratio, target, status, skipped }
}

fn table() -> Vec<BenchRow> {
    let process = |name, unit| (BenchGroup::Process, name, unit);
    let start = [
        side("shm_wr", &[0.000_5, 0.000_42, 0.000_61], "starts 200 shm_wr"),
        side("C floor", &[0.000_4], "starts 200 floor"),
    ];
    let calls = row(process("system calls", Unit::Count), [], Some(Limit::Ours(40.0)));
    let why = "strace is not installed, or not in PATH".to_owned();
    let round_trip = [
        side("framed", &[0.000_001_154], "exchange framed"),
        side("pipes", &[0.000_016_2], "exchange pipe"),
    ];
    let whole = [
        side("experiment", &[1.5], "cargo xtask experiment"),
        side("script of its commands", &[2.5], "sh experiment.sh"),
    ];
    let instructions = [side("shm_wr", &[1_091_816.0], "valgrind | x")];
    let size = [side("shm_wr", &[1_363_149.0], "stat shm_wr")];
    let docker = (BenchGroup::Experiment, "the whole, on docker", Unit::Seconds);
    vec![
        row(process("a start", Unit::Seconds), start, Some(Limit::Ratio(1.1))),
        BenchRow { skipped: Some(why), ..calls },
        row(process("instructions", Unit::Count), instructions, None),
        row(process("size", Unit::Bytes), size, Some(Limit::Ours(1_887_436.0))),
        row((BenchGroup::Messages, "a round trip", Unit::Seconds), round_trip, None),
        row(docker, whole, Some(Limit::Ratio(0.8))),
    ]
}

fn written(rows: &[BenchRow], form: BenchForm) -> String {
    let machine = "a processor, 2 cores, Linux 6.18; load 0.10 before and 1.20 after";
    let mut out = Vec::new();
    report::write(machine, rows, form, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_text_table_matches_the_snapshot() {
    insta::assert_snapshot!(written(&table(), BenchForm::Text));
}

#[test]
fn the_json_table_matches_the_snapshot() {
    insta::assert_snapshot!(written(&table(), BenchForm::Json));
}

#[test]
fn control_characters_in_a_command_are_escaped() {
    let command = "cat '/tmp/\u{1b}[2J'";
    let rows = [row((BenchGroup::Data, "it", Unit::Seconds), [side("it", &[1.0], command)], None)];
    for form in [BenchForm::Text, BenchForm::Json] {
        assert!(!written(&rows, form).contains('\u{1b}'));
    }
}

#[test]
fn the_median_is_the_middle_value_or_the_mean_of_the_two_middle_values() {
    let stats = |values: &[f64]| Stats::of(values).map(|it| (it.median, it.min, it.max, it.count));
    assert_eq!(stats(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0, 3)));
    assert_eq!(stats(&[4.0, 1.0, 2.0, 9.0]), Some((3.0, 1.0, 9.0, 4)));
    assert_eq!(stats(&[7.0]), Some((7.0, 7.0, 7.0, 1)));
    assert_eq!(stats(&[]), None);
}

#[test]
fn the_distance_to_a_missed_target_is_a_fraction_of_the_target() {
    let with = |target, ours: f64| {
        let status = TargetStatus::of(target, Stats::of(&[ours]), Stats::of(&[ours / 2.0]));
        (status.met, status.missed_by)
    };
    assert_eq!(with(None, 9.0), (None, None));
    assert_eq!(with(Some(Limit::Ours(4.0)), 4.0), (Some(true), None));
    assert_eq!(with(Some(Limit::Ours(4.0)), 5.0), (Some(false), Some(0.25)));
    assert_eq!(with(Some(Limit::Ratio(1.0)), 2.0), (Some(true), None));
    assert_eq!(with(Some(Limit::Ratio(1.0)), 3.0), (Some(false), Some(0.5)));
    // Without a measurement the target is neither met nor missed.
    let status = TargetStatus::of(Some(Limit::Ours(4.0)), None, None);
    assert_eq!((status.met, status.missed_by), (None, None));
}

#[test]
fn both_sides_are_measured_alternately_and_the_warm_up_is_discarded() {
    let order = RefCell::new(Vec::new());
    let measure = |values: [&'static [f64]; 2]| {
        let mut next = values.map(|values| values.iter());
        let order = &order;
        move |side: usize| {
            order.borrow_mut().push(side);
            Ok(*next[side].next().unwrap())
        }
    };
    let (sides, ratio) =
        interleave(3, 2, measure([&[100.0, 1.0, 2.0, 6.0], &[1.0, 2.0, 2.0, 3.0]])).unwrap();
    assert_eq!(order.take(), [0, 1, 1, 0, 0, 1, 1, 0]);
    let medians: Vec<_> = sides.iter().map(|it| (it.median, it.max, it.count)).collect();
    assert_eq!(medians, [(2.0, 6.0, 3), (2.0, 3.0, 3)]);
    // The median of the ratios 0.5, 1 and 2.
    assert_eq!(ratio.map(|it| (it.median, it.min, it.max)), Some((1.0, 0.5, 2.0)));

    let (sides, ratio) = interleave(1, 2, measure([&[3.0], &[2.0]])).unwrap();
    assert_eq!(order.take(), [0, 1]);
    assert_eq!((sides[0].median, ratio.map(|it| it.median)), (3.0, Some(1.5)));

    let (sides, ratio) = interleave(2, 1, measure([&[9.0, 1.0, 3.0], &[]])).unwrap();
    assert_eq!(order.take(), [0, 0, 0]);
    assert_eq!((sides.len(), sides[0].median, ratio), (1, 2.0, None));

    interleave(1, 2, |side| if side == 0 { Ok(1.0) } else { bail!("no") }).unwrap_err();
}

#[test]
fn the_replay_script_checks_the_exit_status_of_each_command() {
    let report = r#"{"steps": [
        {"place": "A", "exit_code": 0, "command": ["docker", "run", "--name", "shm-1-A", "--label",
         "shm.experiment.run=00112233445566778899aabbccddeeff", "image"]},
        {"place": "B", "exit_code": null, "command": []},
        {"place": "A", "exit_code": 255, "command": ["docker", "exec", "shm-1-A", "shm_wr", "it's"]},
        {"place": "A", "exit_code": 0, "command": ["docker", "exec", "shm-1-A", "shm_wr",
         "--create-new", "it"], "control_of": "a-read"},
        {"place": "host", "exit_code": 255, "command": ["/dist/shm_rd"]},
        {"place": "host", "exit_code": 0, "command": ["/dist/shm_wr", "--create-new", "it"],
         "control_of": "host-read"}
    ]}"#;
    let run = RunId::random();
    let (script, containers) = replay(report, &run).unwrap();
    assert_eq!(
        script.replace(&run.to_string(), "RUN").lines().collect::<Vec<_>>(),
        [
            "exec >/dev/null 2>&1",
            "set -e",
            "trap 'docker rm --force --volumes shm-1-A' EXIT; trap 'exit 1' INT TERM HUP",
            "docker run --name shm-1-A --label 'shm.experiment.run=RUN' image || [ $? = 0 ]",
            r"docker exec shm-1-A shm_wr 'it'\''s' || [ $? = 255 ]",
            "docker exec shm-1-A shm_wr --create-new it || [ $? = 0 ]",
            "/dist/shm_rd || [ $? = 255 ]",
        ]
    );
    assert_eq!(containers, BTreeSet::from(["shm-1-A".to_owned()]));
    replay("{}", &run).unwrap_err();
    // Without the label, the containers of the script could not be removed.
    replay(&report.replace("shm.experiment.run=", "x="), &run).unwrap_err();
}

/// Runs a small benchmark with this `PATH` and returns its rows.
fn small_run(path: &str) -> Vec<Value> {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let arguments = ["bench", "process", "--pairs", "1", "--format", "json"];
    let run = xtask.args(arguments).env("PATH", path).output().unwrap();
    // The targets may be met or missed, but the exit status must say which.
    let stderr = String::from_utf8_lossy(&run.stderr);
    let table: Value = serde_json::from_slice(&run.stdout).expect(&stderr);
    let rows = table["rows"].as_array().unwrap().clone();
    let is_missed = rows.iter().any(|row| row["met"] == false);
    assert_eq!(run.status.code(), Some(i32::from(is_missed)), "{stderr}");
    rows
}

#[test]
fn each_row_of_a_small_run_has_a_command_or_a_reason_why_it_was_skipped() {
    let path = std::env::var("PATH").unwrap();
    let rows = small_run(&path);
    assert_eq!(rows.len(), 9);
    for row in &rows {
        if let Some(why) = row["skipped"].as_str() {
            assert!(why.contains("is not installed") || why.contains("cannot be used"), "{row}");
            assert!(row["ours"].is_null() && row["met"].is_null(), "{row}");
            continue;
        }
        assert!(row["ours"]["value"]["median"].as_f64().unwrap() > 0.0, "{row}");
        for side in [&row["ours"], &row["baseline"]].into_iter().filter(|side| !side.is_null()) {
            assert!(side["command"].as_str().unwrap().contains(' '), "{row}");
        }
        assert_eq!(row["baseline"].is_null(), row["ratio"].is_null(), "{row}");
        assert_eq!(row["target"].is_null(), row["met"].is_null(), "{row}");
    }
    let has = |name: &str| rows.iter().any(|row| row["name"] == name && row["met"].is_boolean());
    assert!(has("shm_wr: size"));

    // The run above has built the tools, so this one needs fewer programs.
    let folder = tempfile::tempdir().unwrap();
    for program in ["cargo", "env", "rustc", "sh", "stat", "unshare"] {
        let found = std::env::split_paths(&path).map(|it| it.join(program)).find(|it| it.exists());
        symlink(found.unwrap(), folder.path().join(program)).unwrap();
    }
    let rows = small_run(folder.path().to_str().unwrap());
    let (skipped, measured): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row["skipped"].is_string());
    assert_eq!((skipped.len(), measured.len()), (6, 3));
    let names_missing_program = |row: &&Value| {
        let why = row["skipped"].as_str().unwrap();
        why.starts_with("gcc is not installed") || why.starts_with("unshare cannot be used")
    };
    assert!(skipped.iter().all(names_missing_program), "{skipped:?}");
}
