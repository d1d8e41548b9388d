//! `cargo xtask dist`: builds static tools, with completions and manual pages.

use std::path::Path;
use std::{fs, io};

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::engine::dist::{Dist, TOOLS};
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;

/// Builds the tools into `dist/` and writes completions and manual pages beside them.
pub(crate) fn run(interrupt: &Interrupt) -> Result<Exit> {
    let dist = Dist::current(interrupt)?;
    document(&dist.folder())?;
    Ok(Exit::AsPredicted)
}

/// Writes completions and manual pages beside the tools.
fn document(folder: &Path) -> io::Result<()> {
    let commands = [
        shm_wr::args::Args::command(),
        shm_rd::args::Args::command(),
        shm_ls::args::Args::command(),
    ];
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    let manual = folder.join("man");
    fs::create_dir_all(&manual)?;
    for (mut command, name) in commands.into_iter().zip(TOOLS) {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            clap_complete::generate_to(shell, &mut command, name, &completions)?;
        }
        clap_mangen::generate_to(command, &manual)?;
    }
    Ok(())
}
