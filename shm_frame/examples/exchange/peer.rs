//! Starts the other side at a private place.

use std::net::TcpListener;
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::channel::{Result, Wait};
use crate::mechanism::{Mechanism, name};

/// This folder exists even in containers from an empty image.
const FOLDER: &str = "/dev/shm";

/// The time limit for the other side to end.
const GRACE: Duration = Duration::from_secs(5);

/// A process that serves; dropping this ends it.
pub(crate) struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // The other side ends by itself when this side is done, and removes its place.
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
        // A key for each process id, with the next key free for answers.
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
