//! The text to write, and the reasons to refuse it.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use shm_cli::Failure;
use shm_core::Descriptor;

use crate::args::Args;

pub(crate) const NO_TEXT: &str = "place input str, example: ./shm_wr abcd";

/// Returns the text of the command line, or at most the first `limit` bytes of standard input.
pub(crate) fn text(args: &Args, stdin: Descriptor, limit: u64) -> Result<Vec<u8>, Failure> {
    if let Some(text) = &args.text {
        return Ok(text.as_bytes().to_vec());
    }
    if !args.stdin {
        return Err(Failure::new(NO_TEXT, "there is no text to write", "give TEXT or --stdin"));
    }
    let mut text = Vec::new();
    stdin.take(limit).read_to_end(&mut text).map_err(|error| unreadable(&error, ""))?;
    Ok(text)
}

/// Returns the text that fits into `capacity` bytes, and whether it was cut. Fails for a capacity
/// of 0 and, without `cut`, if the text does not fit or contains a NUL.
pub(crate) fn fit(mut text: Vec<u8>, capacity: u64, cut: bool) -> Result<(Vec<u8>, bool), Failure> {
    let room = usize::try_from(capacity.saturating_sub(1)).unwrap_or(usize::MAX);
    let nul = text.iter().position(|byte| *byte == 0);
    let length = nul.unwrap_or(text.len()).min(room);
    if capacity == 0 {
        return Err(Failure::new(
            "the text does not fit",
            "0 bytes have no room for the NUL that ends a text",
            "give a larger --size",
        ));
    }
    if length == text.len() || cut {
        let truncated = length < text.len();
        text.truncate(length);
        return Ok((text, truncated));
    }
    Err(match nul {
        Some(position) if position <= room => has_nul(position as u64, ""),
        _ => does_not_fit(capacity, ""),
    })
}

// `left` is what a failure after the start of the write leaves in the memory, or empty.

pub(crate) fn has_nul(position: u64, left: &str) -> Failure {
    Failure::new(
        format!("the text has a NUL at byte {position}"),
        format!("a text ends at its first NUL: readers would not see the bytes after it{left}"),
        "remove the NUL, or give --truncate to write only the bytes before it",
    )
}

pub(crate) fn does_not_fit(capacity: u64, left: &str) -> Failure {
    let room = capacity.saturating_sub(1);
    Failure::new(
        "the text does not fit",
        format!("{capacity} bytes have room for {room} bytes of text and a NUL{left}"),
        "give --truncate to cut it, or a larger --size (first remove an existing segment: \
         --remove; --id takes no --size)",
    )
}

pub(crate) fn unreadable(error: &io::Error, left: &str) -> Failure {
    Failure::new(
        format!("cannot read standard input: {error}"),
        format!("standard input is closed, or its file or device failed{left}"),
        "check standard input, or give the text as an argument",
    )
}
