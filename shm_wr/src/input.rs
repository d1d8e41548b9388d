//! The text that is to be written, and what it is refused for.

use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use shm_cli::{Checksum, Failure};
use shm_core::Descriptor;

use crate::args::Args;

pub(crate) const NO_TEXT: &str = "place input str, example: ./shm_wr abcd";

/// The checksum, where one is asked for, of what is known of a text.
pub(crate) fn checksum(args: &Args, text: &[u8]) -> Option<Checksum> {
    args.checksum.then(|| {
        let mut checksum = Checksum::default();
        checksum.update(text);
        checksum
    })
}

/// The text that was given; of standard input its first bytes, at most `limit`.
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

/// A text that a reader will see whole, and whether it had to be cut for that.
pub(crate) fn fit(mut text: Vec<u8>, capacity: u64, cut: bool) -> Result<(Vec<u8>, bool), Failure> {
    let room = usize::try_from(capacity.saturating_sub(1)).unwrap_or(usize::MAX);
    let nul = text.iter().position(|byte| *byte == 0);
    let length = nul.unwrap_or(text.len()).min(room);
    if capacity == 0 {
        return Err(Failure::new(
            "the text does not fit",
            "0 bytes do not even hold the NUL that ends a text",
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

// What a text is refused for, with what it left, if that is not what was there before.

pub(crate) fn has_nul(position: u64, left: &str) -> Failure {
    Failure::new(
        format!("the text has a NUL at byte {position}"),
        format!("a text ends at its first NUL: readers would not see what comes behind it{left}"),
        "leave the NUL out, or give --truncate to write what comes before it",
    )
}

pub(crate) fn does_not_fit(capacity: u64, left: &str) -> Failure {
    let room = capacity.saturating_sub(1);
    Failure::new(
        "the text does not fit",
        format!("{capacity} bytes hold a text of {room} bytes and the NUL that ends it{left}"),
        "give --truncate to cut it, or a larger --size (an existing segment is removed first \
         with --remove)",
    )
}

pub(crate) fn unreadable(error: &io::Error, left: &str) -> Failure {
    Failure::new(
        format!("standard input cannot be read: {error}"),
        format!("the program or file behind it failed{left}"),
        "give the text as argument",
    )
}
