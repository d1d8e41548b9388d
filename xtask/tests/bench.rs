//! The bench: its values, the forms of its table from values that are fixed, and a small run. No test
//! says how fast anything is.
#![forbid(unsafe_code)]

use assert_cmd::Command;
use serde_json::Value;
use xtask::commands::bench::experiment::replay;
use xtask::commands::bench::experiment::waiting::Waiting;
use xtask::commands::bench::measurement::{
    Comparison, Group, Machine, Measurement, Row, Spread, Standing, Table, Target, Unit,
};
use xtask::commands::bench::report::{self, Form};

fn side(of: &str, values: &[f64], command: &str) -> Measurement {
    let value = Spread::of(values).unwrap();
    Measurement { of: of.to_owned(), value, command: command.to_owned() }
}

fn row(name: &str, unit: Unit, ours: Measurement, peer: Option<Measurement>) -> Comparison {
    let ratio = peer.as_ref().map(|peer| Spread::from(ours.value.median / peer.value.median));
    let (group, name, target) = (Group::Process, name.to_owned(), None);
    Comparison { group, name, unit, ours, peer, ratio, target }
}

fn table() -> Table {
    let start = row(
        "a start",
        Unit::Seconds,
        side("shm_wr", &[0.000_5, 0.000_42, 0.000_61], "starts 200 shm_wr"),
        Some(side("C floor", &[0.000_4], "starts 200 floor_wr")),
    );
    let instructions =
        row("instructions", Unit::Instructions, side("shm_wr", &[91_816.0], "valgrind | x"), None);
    let experiment = Comparison {
        group: Group::Experiment,
        target: Some(Target::Ratio(0.8)),
        ..row(
            "the whole, on docker",
            Unit::Seconds,
            side("experiment", &[1.5], "cargo xtask experiment"),
            Some(side("script of its commands", &[2.5], "sh experiment.sh")),
        )
    };
    let rows = [
        Comparison { target: Some(Target::Ratio(1.1)), ..start },
        Comparison { target: Some(Target::Ours(110_000.0)), ..instructions },
        row("size", Unit::Bytes, side("shm_wr", &[1_363_149.0], "stat shm_wr"), None),
        row("own", Unit::Percent, side("of its time", &[4.26], "cargo xtask experiment"), None),
        experiment,
    ];
    let mut rows: Vec<_> = rows.into_iter().map(|it| Row::Compared(Box::new(it))).collect();
    let (name, why) = ("system calls".to_owned(), "strace is not installed".to_owned());
    rows.insert(1, Row::Skipped { group: Group::Process, name, why });
    let machine = Machine {
        cpu: "a processor".to_owned(),
        cores: 2,
        kernel: "6.18".to_owned(),
        load_before: "0.10".to_owned(),
        load_after: "1.20".to_owned(),
    };
    Table { machine, rows }
}

fn written(form: Form) -> String {
    let mut out = Vec::new();
    report::write(&table(), form, &mut out).unwrap();
    let plain = anstream::adapter::strip_bytes(&out).into_vec();
    String::from_utf8(plain).unwrap()
}

#[test]
fn the_table_for_people_reads_like_this() {
    insta::assert_snapshot!(written(Form::Text));
}

#[test]
fn the_table_for_an_issue_reads_like_this() {
    insta::assert_snapshot!(written(Form::Markdown));
}

#[test]
fn the_table_for_programs_has_this_shape() {
    insta::assert_snapshot!(written(Form::Json));
}

#[test]
fn the_median_is_the_middle_one_or_between_the_two_in_the_middle() {
    let spread = |values: &[f64]| Spread::of(values).map(|it| (it.median, it.min, it.max));
    assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
    assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some((3.0, 1.0, 9.0)));
    assert_eq!(spread(&[]), None);
}

#[test]
fn a_target_is_missed_by_a_part_of_itself() {
    let with = |target, ours: f64| {
        let peer = Some(side("peer", &[2.0], "peer"));
        let row = row("it", Unit::Seconds, side("ours", &[ours], "ours"), peer);
        Comparison { target, ..row }.standing()
    };
    assert_eq!(with(None, 9.0), Standing::NoTarget);
    assert_eq!(with(Some(Target::Ours(4.0)), 4.0), Standing::Met);
    assert_eq!(with(Some(Target::Ours(4.0)), 5.0), Standing::MissedBy(0.25));
    assert_eq!(with(Some(Target::Ratio(1.0)), 2.0), Standing::Met);
    assert_eq!(with(Some(Target::Ratio(1.0)), 3.0), Standing::MissedBy(0.5));
}

#[test]
fn a_run_becomes_a_script_of_its_commands_that_holds_each_to_its_status() {
    let report = r#"{"steps": [
        {"command": ["docker", "run", "--name", "shm-1-A", "--label",
                     "shm.experiment.run=00112233445566778899aabbccddeeff", "image"], "exit_code": 0},
        {"exit_code": null},
        {"command": ["docker", "exec", "shm-1-A", "shm_wr", "it's"], "exit_code": 255},
        {"command": ["/dist/shm_rd"], "exit_code": 255},
        {"command": ["/dist/shm_wr", "--json", "--create-new", "--key", "0x7", "it"], "exit_code": 0}
    ]}"#;
    let script = replay::script(report).unwrap();
    assert_eq!(
        script.text.lines().collect::<Vec<_>>(),
        [
            "exec >/dev/null 2>&1",
            "set -e",
            "trap '/dist/shm_wr --key 0x7 --remove; docker rm --force --volumes shm-1-A' EXIT; \
             trap 'exit 1' INT TERM HUP",
            "docker run --name shm-1-A --label \
             'shm.experiment.run=00112233445566778899aabbccddeeff' image || [ $? = 0 ]",
            r"docker exec shm-1-A shm_wr 'it'\''s' || [ $? = 255 ]",
            "/dist/shm_rd || [ $? = 255 ]",
            "/dist/shm_wr --json --create-new --key 0x7 it || [ $? = 0 ]",
        ]
    );
    assert_eq!(script.client_starts, 3);
    assert!(script.containers.contains("shm-1-A") && script.run.is_some());
    replay::script("{}").unwrap_err();
}

#[test]
fn time_in_which_two_clients_run_at_once_is_waited_for_once() {
    let notes = "3000000000 5000000000\n1000000000 2000000000\n4000000000 6000000000\n";
    assert_eq!(Waiting::of(notes).unwrap(), Waiting { starts: 3, seconds: 4.0 });
    // One within another.
    let notes = "1000000000 9000000000\n2000000000 3000000000\n";
    assert_eq!(Waiting::of(notes).unwrap(), Waiting { starts: 2, seconds: 8.0 });
    Waiting::of("docker").unwrap_err();
}

#[test]
fn each_row_of_a_small_run_has_a_command_or_says_why_it_was_not_measured() {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let run =
        xtask.args(["bench", "process", "--pairs", "1", "--format", "json"]).output().unwrap();
    // Whether the targets are met is not asked here.
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(matches!(run.status.code(), Some(0 | 1)), "{said}");
    let table: Value = serde_json::from_slice(&run.stdout).unwrap();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 15);
    for row in rows {
        if let Some(why) = row["skipped"].as_str() {
            assert!(why.contains("is not installed") || why.contains("cannot be used"), "{row}");
            continue;
        }
        assert!(row["ours"]["value"]["median"].as_f64().unwrap() > 0.0, "{row}");
        for side in [&row["ours"], &row["peer"]].into_iter().filter(|side| !side.is_null()) {
            assert!(side["command"].as_str().unwrap().contains(' '), "{row}");
        }
        assert_eq!(row["peer"].is_null(), row["ratio"].is_null(), "{row}");
    }
    let has = |name: &str| rows.iter().any(|row| row["name"] == name && row["met"].is_boolean());
    assert!(has("shm_wr: size"));
}
