//! Two framed segments, one for each direction. Each side holds the write lock of its segment, so the
//! other side can see that it has ended.

use shm_core::{Key, Segment};
use shm_frame::{self as frame, Reader, Writer};

use crate::channel::{Channel, LIMIT, Result, Wait, poll_until, retry};

pub(crate) struct Framed {
    writer: Option<Writer>,
    reader: Reader,
    /// The generation that was last received.
    received: u64,
    wait: Wait,
}

impl Framed {
    /// Creates both segments: questions under `key`, answers under the next key.
    pub(crate) fn serve(key: Key, size: usize, wait: Wait) -> Result<Self> {
        let answers = next(key)?;
        for key in [key, answers] {
            // A killed run may have left one.
            let _ = frame::remove(key, LIMIT);
        }
        let bytes = segment_size(size);
        // Questions first: a process that finds the segment of answers finds this one too.
        drop(Writer::create_new(key, bytes, 0o666, LIMIT)?);
        let reader = Reader::open(key)?;
        let writer = Writer::create_new(answers, bytes, 0o666, LIMIT)?;
        Ok(Self::new(writer, reader, wait))
    }

    pub(crate) fn connect(key: Key, size: usize, wait: Wait) -> Result<Self> {
        let answers = next(key)?;
        let reader = retry(|| Reader::open(answers))?;
        Segment::find(key)?;
        let writer = Writer::open_or_create(key, segment_size(size), 0o666, LIMIT)?.0;
        Ok(Self::new(writer, reader, wait))
    }

    fn new(writer: Writer, reader: Reader, wait: Wait) -> Self {
        Self { writer: Some(writer), reader, received: 0, wait }
    }
}

impl Channel for Framed {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.writer.as_mut().ok_or("this side is done")?.write(message)?;
        Ok(())
    }

    fn receive(&mut self, message: &mut Vec<u8>) -> Result<bool> {
        let (reader, last) = (&self.reader, self.received);
        poll_until(self.wait, || Ok((reader.generation() != last).then_some(())))?;
        self.received = reader.read(message)?;
        Ok(!message.is_empty())
    }
}

impl Drop for Framed {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            // An empty message ends the exchange. The other side is attached and can still read it.
            let _ = writer.write(b"");
            let _ = writer.remove();
        }
    }
}

fn next(key: Key) -> Result<Key> {
    Ok(Key::new(key.raw().wrapping_add(1)).ok_or("the next key is 0: choose another key")?)
}

/// The bytes that a frame needs for messages of `size`.
fn segment_size(size: usize) -> usize {
    let (header, slot) = (64, 16 + size.next_multiple_of(8));
    header + 2 * slot
}
