//! Quirks: known differences from the model, by engine and version, each with a citation. Any
//! other difference fails the run.

use semver::{Version, VersionReq};
use serde::Serialize;

use crate::engine::{EngineInfo, EngineKind};
use crate::script::Mechanism;
use crate::script::matrix::{Cell, Event, Observer};

/// A known difference from the model. The serialized form is that of the JSON report.
#[derive(Debug, Serialize)]
pub struct Quirk {
    /// The name in reports.
    pub id: &'static str,
    /// The engine.
    #[serde(skip)]
    pub engine: EngineKind,
    /// The versions of the engine, in Cargo's notation.
    #[serde(skip)]
    pub versions: &'static str,
    /// Returns whether it can explain a cell.
    #[serde(skip)]
    pub applies: fn(&Cell) -> bool,
    /// Its description and source.
    pub citation: &'static str,
    /// Whether it shows only sometimes.
    pub racy: bool,
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
        let version = leading(&engine.version.to_string());
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

/// Returns the first three numbers of an engine's version, without a pre-release; `None` if the
/// version does not begin with a number.
fn leading(version: &str) -> Option<Version> {
    let digits = version.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut numbers = digits.split('.').map_while(|number| number.parse().ok());
    let major = numbers.next()?;
    let mut next = || numbers.next().unwrap_or(0);
    Some(Version::new(major, next(), next()))
}

#[cfg(test)]
mod tests {
    use semver::{Version, VersionReq};

    use super::{QUIRKS, leading};

    #[test]
    fn a_version_is_parsed_without_its_suffix() {
        let version = leading("20.10.24+dfsg1 (client 28.2.2)");
        assert_eq!(version, Some(Version::new(20, 10, 24)));
        assert_eq!(leading("5.0.0-rc1"), Some(Version::new(5, 0, 0)));
        assert_eq!(leading("unknown"), None);
    }

    #[test]
    fn every_quirk_has_valid_versions() {
        for quirk in QUIRKS {
            VersionReq::parse(quirk.versions).expect(quirk.id);
        }
    }
}
