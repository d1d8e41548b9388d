//! Quirks: known differences from the model, by engine and version, each with a citation. Any
//! other difference fails the run.

use std::str::FromStr;

use semver::{Version, VersionReq};

use crate::engine::{EngineInfo, EngineKind};
use crate::script::Mechanism;
use crate::script::matrix::{Cell, Event, Observer};

/// A known difference from the model.
#[derive(Debug)]
pub struct Quirk {
    /// The name in reports.
    pub id: &'static str,
    /// The engine.
    pub engine: EngineKind,
    /// The versions of the engine, in Cargo's notation.
    pub versions: &'static str,
    /// Returns whether it can explain a cell.
    pub applies: fn(&Cell) -> bool,
    /// Whether it shows only sometimes.
    pub racy: bool,
    /// Its description and source.
    pub citation: &'static str,
}

/// All quirks.
pub const QUIRKS: &[Quirk] = &[Quirk {
    id: "podman-old-shm",
    engine: EngineKind::Podman,
    versions: ">=3",
    applies: restarted_tmpfs,
    racy: true,
    citation: "podman starts a restarted or just killed container with its old /dev/shm, unless \
               the clean-up process of the old container has already unmounted it \
               (libpod/container_internal.go, restartWithTimeout; conmon's exit command)",
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
    /// Returns the remark for a run in which it did not show.
    #[must_use]
    pub fn absence(&self) -> &'static str {
        if self.racy { "did not show this time" } else { "no longer shows" }
    }

    /// Returns whether an engine has it.
    #[must_use]
    pub fn concerns(&self, engine: &EngineInfo) -> bool {
        let version = engine.version.parse::<Leading>().ok().map(|it| it.0);
        let wanted = VersionReq::parse(self.versions);
        self.engine == engine.name
            && wanted.is_ok_and(|wanted| version.is_none_or(|it| wanted.matches(&it)))
    }
}

/// Returns the quirk of an engine that explains a difference in a cell.
#[must_use]
pub fn of(engine: &EngineInfo, cell: &Cell) -> Option<&'static Quirk> {
    QUIRKS.iter().find(|quirk| quirk.concerns(engine) && (quirk.applies)(cell))
}

/// The first three numbers of an engine's version, without a pre-release.
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

/// The error for a version that does not begin with a number.
#[derive(Debug, PartialEq, Eq)]
struct NoNumber;

#[cfg(test)]
mod tests {
    use semver::{Version, VersionReq};

    use super::{Leading, NoNumber, QUIRKS};

    #[test]
    fn a_version_is_parsed_without_its_suffix() {
        let version = "20.10.24+dfsg1 (client 28.2.2)".parse();
        assert_eq!(version, Ok(Leading(Version::new(20, 10, 24))));
        assert_eq!("5.0.0-rc1".parse(), Ok(Leading(Version::new(5, 0, 0))));
        assert_eq!("unknown".parse::<Leading>(), Err(NoNumber));
    }

    #[test]
    fn every_quirk_has_valid_versions() {
        for quirk in QUIRKS {
            VersionReq::parse(quirk.versions).expect(quirk.id);
        }
    }
}
