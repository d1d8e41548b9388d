//! Known differences from the model, by engine and version, each with a citation. A difference
//! without one fails the run.

use semver::{Version, VersionReq};

use crate::engine::{EngineInfo, EngineKind};
use crate::script::Mechanism;
use crate::script::matrix::{Cell, Event, Observer};

/// A known difference.
#[derive(Debug)]
pub struct Quirk {
    /// Its name in reports.
    pub id: &'static str,
    /// The engine that has it.
    pub engine: EngineKind,
    /// Its versions that have it, in Cargo's notation.
    pub versions: &'static str,
    /// Which cells it may show in.
    pub applies: fn(&Cell) -> bool,
    /// Whether it shows only now and then.
    pub racy: bool,
    /// What it is, and where that can be looked up.
    pub citation: &'static str,
}

/// All of them.
pub const QUIRKS: &[Quirk] = &[Quirk {
    id: "podman-old-shm",
    engine: EngineKind::Podman,
    versions: ">=3",
    applies: restarted_tmpfs,
    racy: true,
    citation: "podman starts a container that has just been killed, or that it restarts, on the \
               /dev/shm of before, unless the clean-up process of the old one has unmounted it by \
               then (libpod/container_internal.go, restartWithTimeout; conmon's exit command)",
}];

fn restarted_tmpfs(cell: &Cell) -> bool {
    let restarted = matches!(
        (cell.event, cell.observer),
        (Event::Restart | Event::KillStart | Event::Crash, Observer::Own)
            | (Event::DonorRestarts, Observer::Donor)
    );
    restarted && cell.mechanism == Mechanism::Posix
}

impl Quirk {
    /// What it means that it did not show.
    #[must_use]
    pub fn absence(&self) -> &'static str {
        if self.racy { "did not show this time" } else { "no longer shows" }
    }

    /// Whether an engine has it.
    #[must_use]
    pub fn concerns(&self, engine: &EngineInfo) -> bool {
        let version = leading_version(&engine.version);
        let wanted = VersionReq::parse(self.versions);
        self.engine == engine.name
            && wanted.is_ok_and(|wanted| version.is_none_or(|it| wanted.matches(&it)))
    }
}

/// The quirk that explains why a cell differs on an engine.
#[must_use]
pub fn of(engine: &EngineInfo, cell: &Cell) -> Option<&'static Quirk> {
    QUIRKS.iter().find(|quirk| quirk.concerns(engine) && (quirk.applies)(cell))
}

/// The three numbers at the start of an engine's version; what it calls a pre-release is none.
fn leading_version(text: &str) -> Option<Version> {
    let digits = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut numbers = digits.split('.').map_while(|number| number.parse().ok());
    let major = numbers.next()?;
    Some(Version::new(major, numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use semver::{Version, VersionReq};

    use super::{QUIRKS, leading_version};

    #[test]
    fn an_engines_version_is_read_up_to_what_its_packager_added() {
        let version = leading_version("20.10.24+dfsg1 (client 28.2.2)");
        assert_eq!(version, Some(Version::new(20, 10, 24)));
        assert_eq!(leading_version("5.0.0-rc1"), Some(Version::new(5, 0, 0)));
        assert_eq!(leading_version("unknown"), None);
    }

    #[test]
    fn every_quirk_names_versions_that_can_be_read() {
        for quirk in QUIRKS {
            VersionReq::parse(quirk.versions).expect(quirk.id);
        }
    }
}
