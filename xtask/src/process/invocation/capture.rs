//! What a command prints, kept up to a limit: one that talks without end must not take all memory.

use std::cell::OnceCell;
use std::io::{self, PipeWriter, Read};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes of a stream that are kept. A list of a thousand nodes, in JSON, is a tenth of it.
pub(super) const MOST: u64 = 64 << 20;

/// One stream of a command.
#[derive(Debug)]
pub(super) struct Capture {
    printed: Receiver<io::Result<Vec<u8>>>,
    kept: OnceCell<Vec<u8>>,
}

impl Capture {
    /// A pipe for the command to print into, and what comes out of it.
    pub(super) fn start() -> io::Result<(PipeWriter, Self)> {
        let (reader, writer) = io::pipe()?;
        let (sender, printed) = mpsc::channel();
        thread::Builder::new().spawn(move || {
            let mut bytes = Vec::new();
            // A byte beyond the limit tells that there was more. Then the pipe is closed, which ends
            // most programs that go on.
            let read = reader.take(MOST + 1).read_to_end(&mut bytes).map(|_| bytes);
            // Nobody may be waiting any more.
            let _ = sender.send(read);
        })?;
        Ok((writer, Self { printed, kept: OnceCell::new() }))
    }

    /// All that was printed; `None` where something still holds the pipe open at `deadline`.
    pub(super) fn until(&self, deadline: Instant) -> io::Result<Option<&[u8]>> {
        if self.kept.get().is_none() {
            let time = deadline.saturating_duration_since(Instant::now());
            let Ok(read) = self.printed.recv_timeout(time.max(Duration::from_millis(1))) else {
                return Ok(None);
            };
            let _ = self.kept.set(read?);
        }
        Ok(self.kept.get().map(Vec::as_slice))
    }
}
