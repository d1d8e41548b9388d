//! Prints the facts of this host as JSON.
fn main() -> std::io::Result<()> {
    let snapshot = shm_host::Snapshot::take(shm_host::Names::Ask)?;
    serde_json::to_writer(std::io::stdout(), &snapshot)?;
    Ok(())
}
