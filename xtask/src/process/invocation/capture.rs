//! Captures what a command prints, up to a limit that protects the memory.

use std::cell::OnceCell;
use std::io::{self, PipeWriter, Read};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes kept of a stream. A JSON list of a thousand nodes has a tenth of that.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// One stream of a command.
#[derive(Debug)]
pub(super) struct Capture {
    printed: Receiver<io::Result<Vec<u8>>>,
    kept: OnceCell<Vec<u8>>,
}

impl Capture {
    /// Creates a pipe for the command's output, and starts to read it.
    pub(super) fn start() -> io::Result<(PipeWriter, Self)> {
        let (reader, writer) = io::pipe()?;
        let (sender, printed) = mpsc::channel();
        thread::Builder::new().spawn(move || {
            let mut bytes = Vec::new();
            // One byte beyond the limit shows that there was more. The pipe is then closed, which
            // ends most programs that continue to print.
            let read = reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes);
            // The receiver may no longer exist.
            let _ = sender.send(read);
        })?;
        Ok((writer, Self { printed, kept: OnceCell::new() }))
    }

    /// Returns all output, or `None` if a process still holds the pipe open at `deadline`.
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
