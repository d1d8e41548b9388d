//! How long the tools take to build.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::commands::bench::measurement::{
    Comparison, Group, Measurement, Row, Spread, Target, Unit,
};
use crate::commands::bench::workplace::Workplace;
use crate::engine::dist::Dist;
use crate::process::invocation::Invocation;

const MOST_COLD_SECONDS: f64 = 40.0;
const MOST_CHANGED_SECONDS: f64 = 10.0;
/// A build takes long enough to be told from another one.
const MOST_CHANGES: usize = 3;

/// What of a checkout is not its sources.
const MADE: [&str; 3] = ["target", "dist", ".git"];

/// Builds a copy of the sources, so that nobody's files are touched.
pub(super) fn rows(place: &Workplace<'_>) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(place.file("")).context("no folder for a copy")?;
    copy(place, folder.path())?;
    let copy = Dist::of_checkout(folder.path());
    let build = || {
        let started = Instant::now();
        copy.build(place.interrupt)?;
        anyhow::Ok(started.elapsed().as_secs_f64())
    };
    let row = |name: &str, value, command: &str, most| {
        let (of, command) = ("cargo xtask dist".to_owned(), command.to_owned());
        Row::Compared(Box::new(Comparison {
            group: Group::Build,
            name: name.to_owned(),
            unit: Unit::Seconds,
            ours: Measurement { of, value, command },
            peer: None,
            ratio: None,
            target: Some(Target::Ours(most)),
        }))
    };
    let cold = Spread::from(build()?);
    let source = folder.path().join("shm_wr/src/write.rs");
    let change = || {
        let mut source = OpenOptions::new().append(true).open(&source)?;
        writeln!(source, "// A change.")?;
        build()
    };
    let changed = (0..place.at_most(MOST_CHANGES)).map(|_| change()).collect::<Result<Vec<_>>>()?;
    let changed = Spread::of(&changed).context("nothing was measured")?;
    let cold_command = "rm -r target/static; cargo xtask dist";
    let changed_command = "echo '// A change.' >>shm_wr/src/write.rs; cargo xtask dist";
    Ok(vec![
        row("the tools alone, cold", cold, cold_command, MOST_COLD_SECONDS),
        row("after a change in shm_wr", changed, changed_command, MOST_CHANGED_SECONDS),
    ])
}

fn copy(place: &Workplace<'_>, to: &std::path::Path) -> Result<()> {
    let mut args = vec!["-r".to_owned()];
    for entry in fs::read_dir(place.dist().context())? {
        let entry = entry?;
        if !MADE.iter().any(|made| entry.file_name() == *made) {
            args.push(entry.path().to_string_lossy().into_owned());
        }
    }
    args.push(to.to_string_lossy().into_owned());
    place.run(&Invocation::new("cp", args)).map(drop)
}
