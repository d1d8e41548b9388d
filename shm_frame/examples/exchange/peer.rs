//! The other side, started by this one, at a place of their own.

use std::net::TcpListener;
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::channel::{Result, Wait};
use crate::mechanism::{Mechanism, name};

/// Always there, in containers without any files too, and small.
const FOLDER: &str = "/dev/shm";

/// How long the other side may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// A process that serves; ended with its owner.
pub(crate) struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself once this side is done, and takes away what it made.
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this program as the other side; returns it and its place.
pub(crate) fn start(mechanism: Mechanism, size: u64, wait: Wait) -> Result<(Peer, String)> {
    let id = process::id();
    let place = match mechanism {
        // Above all process ids, and room for two keys.
        Mechanism::Framed => format!("0x{:08x}", 0x5e00_0000 | id << 1 & 0xff_ffff),
        Mechanism::Pipe | Mechanism::Unix => format!("{FOLDER}/exchange.{id}"),
        // A port that was free a moment ago.
        Mechanism::Tcp => TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string(),
    };
    #[expect(clippy::disallowed_methods, reason = "an example that shows two processes starts one")]
    let mut program = Command::new(std::env::current_exe()?);
    program.arg(name(&mechanism)).args(["--wait", &name(&wait), "--size", &size.to_string()]);
    program.args(["--serve", &place]).stdin(Stdio::null()).stdout(Stdio::null());
    Ok((Peer(program.spawn()?), place))
}
