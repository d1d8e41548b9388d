//! Shares a counter between two attachments of a private segment, and shows what the kernel knows of it.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "examples print")]

use std::error::Error;

use shm_core::segment::RemoveOnDrop;
use shm_core::{IpcNamespace, Segment};

fn main() -> Result<(), Box<dyn Error>> {
    // Without the guard the segment would outlive this process.
    let guard = RemoveOnDrop(Segment::create_private(8, 0o600)?);
    let segment = guard.0;
    let writer = segment.attach_writable()?.into_words();
    let reader = segment.attach()?.into_words();
    writer[0].fetch_add(42, std::sync::atomic::Ordering::Relaxed);
    println!("counter {}", reader[0].load());

    let stat = segment.stat()?;
    println!("{} bytes, mode {:04o}, {} attachments", stat.size, stat.mode, stat.nattch);
    println!("in {}", IpcNamespace::current()?);
    Ok(())
}
