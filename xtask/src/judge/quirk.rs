//! Known differences from the model, by engine and version, each with a citation. A difference
//! without one fails the run.

use std::str::FromStr;

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
        let version = engine.version.parse::<Leading>().ok().map(|it| it.0);
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
#[derive(Debug, PartialEq, Eq)]
struct Leading(Version);

impl FromStr for Leading {
    type Err = NoNumber;

    fn from_str(text: &str) -> Result<Self, NoNumber> {
        let digits = text.split(|c: char| !c.is_ascii_digit() && c != '.').next();
        let mut numbers =
            digits.unwrap_or_default().split('.').map_while(|number| number.parse().ok());
        let major = numbers.next().ok_or(NoNumber)?;
        let mut next = || numbers.next().unwrap_or(0);
        Ok(Self(Version::new(major, next(), next())))
    }
}

/// A version that does not begin with a number.
#[derive(Debug, PartialEq, Eq)]
struct NoNumber;

#[cfg(test)]
mod tests {
    use semver::{Version, VersionReq};

    use super::{Leading, NoNumber, QUIRKS};

    #[test]
    fn an_engines_version_is_read_up_to_what_its_packager_added() {
        let version = "20.10.24+dfsg1 (client 28.2.2)".parse();
        assert_eq!(version, Ok(Leading(Version::new(20, 10, 24))));
        assert_eq!("5.0.0-rc1".parse(), Ok(Leading(Version::new(5, 0, 0))));
        assert_eq!("unknown".parse::<Leading>(), Err(NoNumber));
    }

    #[test]
    fn every_quirk_names_versions_that_can_be_read() {
        for quirk in QUIRKS {
            VersionReq::parse(quirk.versions).expect(quirk.id);
        }
    }
}
