//! The actions of `shm_wr`, and its exit status.

use std::fmt;
use std::io::Write;

use serde::Serialize;
use shm_cli::Failure;
use shm_core::{Descriptor, Target};

use crate::args::Args;
use crate::framed::{self, LOCK_TIMEOUT};
use crate::input::NO_TEXT;
use crate::report::report;
use crate::write;

/// The exit status after a failure, the same as that of a C program which returns -1.
pub const FAILED: u8 = 255;

#[derive(Serialize)]
struct Removed {
    address: Target,
    removed: bool,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shm remove success")
    }
}

/// Executes `args`, reports the result on `stdout` and `stderr`, and returns the exit status.
pub fn run(args: &Args, stdin: Descriptor, mut stdout: impl Write, mut stderr: impl Write) -> u8 {
    let reported = if args.remove {
        let address = args.address.target();
        let removed = if args.framed {
            shm_frame::remove(args.address.key(), LOCK_TIMEOUT).map_err(Failure::from)
        } else {
            address.remove().map_err(Failure::from)
        };
        let removed = removed.map(|()| Removed { address, removed: true });
        report(args, "remove", &removed, &mut stdout, &mut stderr)
    } else if args.text.is_none() && !args.stdin && !args.json {
        writeln!(stderr, "{NO_TEXT}").map(|()| false)
    } else {
        let written = if args.framed {
            framed::write(args, stdin, &mut stderr)
        } else {
            write::write(args, stdin, &mut stderr)
        };
        report(args, "write", &written, &mut stdout, &mut stderr)
    };
    match reported {
        Ok(true) => 0,
        Ok(false) => FAILED,
        Err(error) => {
            // If standard error fails too, there is no way to report it.
            let _ = writeln!(stderr, "cannot write to standard output: {error}");
            FAILED
        }
    }
}
