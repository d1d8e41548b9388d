//! Where a report goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Better to know before the run than after it that its report has nowhere to go.
///
/// # Errors
///
/// Where no file can be at `output`.
pub fn check(output: Option<&Path>) -> Result<()> {
    let Some(path) = output else { return Ok(()) };
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
        bail!("--output {}: name a file in a folder that exists", path.display());
    }
    let new = !path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.with_context(|| format!("--output {}", path.display()))?;
    if new {
        // Only tried: it is made when there is something to write.
        fs::remove_file(path).with_context(|| format!("--output {}", path.display()))?;
    }
    Ok(())
}

/// Writes a report to a file without colour, or to standard output, with it on a terminal.
///
/// # Errors
///
/// Where it cannot be written; a pipe that was closed is no error.
pub fn write(
    output: Option<&Path>,
    report: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let written = match output {
        Some(path) => {
            let file =
                File::create(path).with_context(|| format!("--output {}", path.display()))?;
            report(&mut BufWriter::new(anstream::StripStream::new(file)))
        }
        None => report(&mut anstream::AutoStream::auto(io::stdout())),
    };
    match written {
        // Whoever closed the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        answer => answer.context(
            "the report could not be written; next step: name a file where there is room, \
             --output FILE",
        ),
    }
}
