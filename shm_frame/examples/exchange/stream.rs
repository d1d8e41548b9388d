//! Streams of bytes: pipes and sockets. The size of a message determines its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, mkfifoat};

use crate::channel::{Channel, Result, Wait, poll_until, retry};

pub(crate) struct Stream<W, R> {
    to: W,
    from: R,
    size: usize,
    wait: Wait,
}

impl<W: Write + AsFd, R: Read + AsFd> Stream<W, R> {
    fn new(to: W, from: R, size: usize, wait: Wait) -> Result<Self> {
        if wait != Wait::Block {
            fcntl_setfl(&to, fcntl_getfl(&to)? | OFlags::NONBLOCK)?;
            fcntl_setfl(&from, fcntl_getfl(&from)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { to, from, size, wait })
    }
}

/// The bytes that a call moved; `None` if it would have to wait.
fn moved(answer: io::Result<usize>) -> Result<Option<usize>> {
    match answer {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

impl<W: Write, R: Read> Channel for Stream<W, R> {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let mut sent = 0;
        while sent < message.len() {
            sent += poll_until(self.wait, || moved(self.to.write(&message[sent..])))?;
        }
        Ok(())
    }

    fn receive(&mut self, message: &mut Vec<u8>) -> Result<bool> {
        message.resize(self.size, 0);
        let mut received = 0;
        while received < message.len() {
            let rest = &mut message[received..];
            match poll_until(self.wait, || moved(self.from.read(rest)))? {
                0 if received == 0 => return Ok(false),
                0 => return Err("the other side ended in the middle of a message".into()),
                count => received += count,
            }
        }
        Ok(true)
    }
}

/// Two pipes below a path: questions and answers.
fn pipes(path: &str) -> [String; 2] {
    [format!("{path}.questions"), format!("{path}.answers")]
}

pub(crate) fn serve_pipes(path: &str, size: usize, wait: Wait) -> Result<Stream<File, File>> {
    let [questions, answers] = pipes(path);
    for path in [&questions, &answers] {
        // A killed run may have left one.
        let _ = fs::remove_file(path);
        mkfifoat(CWD, path, Mode::from_raw_mode(0o666))?;
    }
    let from = File::open(&questions)?;
    let to = OpenOptions::new().write(true).open(&answers)?;
    fs::remove_file(questions)?;
    fs::remove_file(answers)?;
    Stream::new(to, from, size, wait)
}

pub(crate) fn connect_pipes(path: &str, size: usize, wait: Wait) -> Result<Stream<File, File>> {
    let [questions, answers] = pipes(path);
    // It is created last, so both exist.
    retry(|| fs::metadata(&answers))?;
    let to = OpenOptions::new().write(true).open(&questions)?;
    let from = File::open(&answers)?;
    Stream::new(to, from, size, wait)
}

pub(crate) fn serve_unix(
    path: &str,
    size: usize,
    wait: Wait,
) -> Result<Stream<UnixStream, UnixStream>> {
    let _ = fs::remove_file(path);
    let to = UnixListener::bind(path)?.accept()?.0;
    fs::remove_file(path)?;
    Stream::new(to.try_clone()?, to, size, wait)
}

pub(crate) fn connect_unix(
    path: &str,
    size: usize,
    wait: Wait,
) -> Result<Stream<UnixStream, UnixStream>> {
    let to = retry(|| UnixStream::connect(path))?;
    Stream::new(to.try_clone()?, to, size, wait)
}

pub(crate) fn serve_tcp(
    address: &str,
    size: usize,
    wait: Wait,
) -> Result<Stream<TcpStream, TcpStream>> {
    without_delay(TcpListener::bind(address)?.accept()?.0, size, wait)
}

pub(crate) fn connect_tcp(
    address: &str,
    size: usize,
    wait: Wait,
) -> Result<Stream<TcpStream, TcpStream>> {
    without_delay(retry(|| TcpStream::connect(address))?, size, wait)
}

/// Turns off Nagle's algorithm, so that each message is sent at once.
fn without_delay(
    stream: TcpStream,
    size: usize,
    wait: Wait,
) -> Result<Stream<TcpStream, TcpStream>> {
    stream.set_nodelay(true)?;
    Stream::new(stream.try_clone()?, stream, size, wait)
}
