//! Maps a POSIX object twice, as two processes would.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "examples print")]

use std::error::Error;

use shm_core::Object;
use shm_core::posix::{Location, Name};

fn main() -> Result<(), Box<dyn Error>> {
    let name: Name = format!("shm_core_example_{}", std::process::id()).parse()?;
    let location = Location::Posix(name);
    let writer = Object::create_new(&location, 4096, 0o600)?.map_writable()?;
    let reader = Object::open(&location)?.map()?;
    // The mappings stay valid without the name.
    location.remove()?;

    writer.write_at(0, b"hello")?;
    let mut copy = [0; 5];
    reader.read_at(0, &mut copy);
    println!("{}", String::from_utf8_lossy(&copy));
    Ok(())
}
