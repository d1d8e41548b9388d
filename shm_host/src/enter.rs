//! Entering an IPC namespace to read it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::contents::Contents;

/// Reads the contents of each namespace, on a thread that enters one after the other. The thread
/// ends then, so no other code runs in a namespace that is not its own.
///
/// `/proc/PID/root/proc/sysvipc/shm` would not do: the kernel shows the reader's namespace there.
pub(crate) fn contents(namespaces: &[File]) -> Vec<io::Result<Contents>> {
    let enter = |namespace: &File| {
        let ipc = Some(LinkNameSpaceType::InterProcessCommunication);
        move_into_link_name_space(namespace.as_fd(), ipc)?;
        Ok(Contents::read())
    };
    thread::scope(|scope| {
        let reader = scope.spawn(|| namespaces.iter().map(enter).collect());
        reader.join().expect("reading a table does not panic")
    })
}
