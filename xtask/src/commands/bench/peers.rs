//! The programs to compare with, and those that measure: C and C++, embedded as source.

/// A program in C or C++.
#[derive(Clone, Copy)]
pub(super) struct Peer {
    /// The program's name.
    pub(super) name: &'static str,
    /// What it is called in the table.
    pub(super) title: &'static str,
    pub(super) source: &'static str,
    pub(super) compiler: &'static str,
    /// The end of its source file's name.
    pub(super) language: &'static str,
    pub(super) flags: &'static [&'static str],
}

impl Peer {
    const fn c(name: &'static str, title: &'static str, source: &'static str) -> Self {
        let flags = &["-O2", "-static"];
        Self { name, title, source, compiler: "gcc", language: "c", flags }
    }

    const fn iostream(name: &'static str, source: &'static str) -> Self {
        let (title, flags) = ("C++ iostream", &["-O2"]);
        Self { name, title, source, compiler: "g++", language: "cpp", flags }
    }
}

pub(super) const FLOOR_WR: Peer = Peer::c("floor_wr", "C floor", include_str!("peers/floor_wr.c"));
pub(super) const FLOOR_RD: Peer = Peer::c("floor_rd", "C floor", include_str!("peers/floor_rd.c"));
pub(super) const FLOOR_READ: Peer =
    Peer::c("floor_read", "C read(2)", include_str!("peers/floor_read.c"));
pub(super) const IOSTREAM_WR: Peer =
    Peer::iostream("iostream_wr", include_str!("peers/iostream_wr.cpp"));
pub(super) const IOSTREAM_RD: Peer =
    Peer::iostream("iostream_rd", include_str!("peers/iostream_rd.cpp"));

/// Times many starts of a program in a loop of its own: what starting it from here costs is as long as
/// the program runs.
pub(super) const STARTS: Peer = Peer::c("starts", "", include_str!("peers/starts.c"));
/// Notes when an engine's client ran.
pub(super) const SPY: Peer = Peer::c("spy", "", include_str!("peers/spy.c"));
