//! The output of `shm_rd`.

use std::io::{self, Read, Write};

use serde::Serialize;
use shm_cli::progress::Progress;
use shm_cli::text::{Escaped, Spaced};
use shm_cli::{Checksum, ToolError};

use crate::args::Args;

/// The number of bytes that are read and written at once. They stay in the processor's cache.
pub(crate) const PIECE: usize = 64 * 1024;
const FIRST_PIECE: usize = 4096;

/// A string if the text is UTF-8, otherwise an array of its bytes.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum JsonText {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl From<Vec<u8>> for JsonText {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Utf8)
    }
}

/// Prints the text and, if the user wants it, its checksum.
pub(crate) fn print_text(
    args: &Args,
    terminal: bool,
    text: &mut impl Read,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> Result<(), ToolError> {
    let mut checksum = args.checksum.then(Checksum::default);
    match (args.raw, terminal) {
        (true, false) => copy(text, stdout, &mut checksum, true)?,
        (true, true) => {
            let mut escaped = Escaped::new(&mut *stdout);
            copy(text, &mut escaped, &mut checksum, false)?;
            escaped.finish()?;
        }
        (false, escape) => {
            copy(text, &mut Spaced::new(&mut *stdout, escape), &mut checksum, !terminal)?;
            writeln!(stdout, "\nshm read success")?;
        }
    }
    match checksum {
        // Standard output has only the text. It must be complete before its checksum is printed.
        Some(checksum) if args.raw => {
            stdout.flush()?;
            let _ = writeln!(stderr, "checksum {checksum}");
        }
        Some(checksum) => writeln!(stdout, "checksum {checksum}")?,
        None => {}
    }
    Ok(stdout.flush()?)
}

fn copy(
    text: &mut impl Read,
    output: &mut impl Write,
    checksum: &mut Option<Checksum>,
    show_progress: bool,
) -> io::Result<()> {
    let mut progress = show_progress.then(|| Progress::new(None));
    // Most texts are short, and a large buffer costs more instructions than the rest of the
    // program.
    let mut buffer = vec![0; FIRST_PIECE];
    let mut done = 0;
    loop {
        let length = text.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let piece = &buffer[..length];
        if let Some(checksum) = checksum {
            checksum.update(piece);
        }
        output.write_all(piece)?;
        done += length as u64;
        if let Some(progress) = &mut progress {
            progress.reached(done);
        }
        if length == FIRST_PIECE {
            buffer.resize(PIECE, 0);
        }
    }
}
