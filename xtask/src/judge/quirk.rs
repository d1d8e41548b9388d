//! Quirks: known differences from the model, by engine and version, each with a citation. Any
//! other difference fails the run.

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
    /// The versions of the engine that were measured, in Cargo's notation. Other versions may have
    /// the quirk too; reports say that they were not measured.
    pub measured: &'static [&'static str],
    /// Returns whether it can explain a cell.
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
    measured: &["~4.3", "~5.4", "~5.8"],
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

    /// Returns whether an engine may have it.
    #[must_use]
    pub fn concerns(&self, engine: &EngineInfo) -> bool {
        self.engine == engine.name
    }

    /// Returns whether it was measured on this version of the engine.
    #[must_use]
    pub fn was_measured_on(&self, engine: &EngineInfo) -> bool {
        let Some(version) = leading(&engine.version.to_string()) else { return false };
        let mut measured = self.measured.iter().filter_map(|it| VersionReq::parse(it).ok());
        measured.any(|it| it.matches(&version))
    }

    /// Returns its description and source, with the measured versions if this one is none of them.
    #[must_use]
    pub fn citation_for(&self, engine: &EngineInfo) -> String {
        if self.was_measured_on(engine) {
            return self.citation.to_owned();
        }
        let versions: Vec<_> = self.measured.iter().map(|it| it.trim_start_matches('~')).collect();
        let versions = versions.join(", ");
        format!("{}; not measured on this version, but on {versions}", self.citation)
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
    use crate::engine::{EngineInfo, EngineKind, discover};

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
            assert!(!quirk.measured.is_empty(), "{}", quirk.id);
            for versions in quirk.measured {
                VersionReq::parse(versions).expect(quirk.id);
            }
        }
    }

    #[test]
    fn a_citation_says_if_the_version_was_not_measured() {
        let [quirk] = QUIRKS else { panic!("one quirk") };
        let remark = "; not measured on this version, but on 4.3, 5.4, 5.8";
        for (version, remark) in
            [("4.3.1", ""), ("5.8.0", ""), ("5.0.3", remark), ("6.0.0-dev", remark), ("hm", remark)]
        {
            let (name, version) = (EngineKind::Podman, version.into());
            let engine = EngineInfo { name, version, ..discover::model().info };
            let citation = format!("{}{remark}", quirk.citation);
            assert_eq!(quirk.citation_for(&engine), citation, "{}", engine.version);
        }
    }
}
