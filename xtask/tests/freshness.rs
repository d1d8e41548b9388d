//! When the tools of the last build may be used without asking cargo.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use xtask::dist::freshness::Stamp;

const FILES: [&str; 4] = ["Cargo.toml", "Cargo.lock", "tool/Cargo.toml", "tool/src/a b.rs"];

/// A workspace whose tool was built a minute ago, from older sources.
struct Workspace {
    folder: TempDir,
    built: SystemTime,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let built = SystemTime::now() - Duration::from_mins(1);
        let workspace = Self { folder, built };
        fs::create_dir_all(workspace.path("tool/src")).unwrap();
        for file in FILES {
            fs::write(workspace.path(file), "").unwrap();
            workspace.change(file, built - Duration::from_secs(1));
        }
        let source = workspace.path("tool/src/a b.rs").display().to_string();
        let dep_info = format!("tool: {}\n", source.replace(' ', "\\ "));
        fs::write(workspace.path("tool.d"), dep_info).unwrap();
        workspace.stamp().set(built, &[workspace.path("tool")]).unwrap();
        workspace
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn stamp(&self) -> Stamp {
        Stamp::new(self.folder.path(), self.path("built"))
    }

    fn change(&self, file: &str, time: SystemTime) {
        File::options().write(true).open(self.path(file)).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn what_was_built_of_older_sources_is_fresh() {
    let workspace = Workspace::new();
    assert_eq!(workspace.stamp().fresh(), Some(vec![workspace.path("tool")]));
}

#[test]
fn a_change_of_any_source_manifest_or_of_the_lock_file_since_the_build_began_is_seen() {
    for file in FILES {
        let workspace = Workspace::new();
        workspace.change(file, workspace.built);
        assert_eq!(workspace.stamp().fresh(), None, "{file} changed");
        fs::remove_file(workspace.path(file)).unwrap();
        assert_eq!(workspace.stamp().fresh(), None, "{file} removed");
    }
}

#[test]
fn what_was_never_built_is_not_fresh() {
    for file in ["built", "tool.d"] {
        let workspace = Workspace::new();
        fs::remove_file(workspace.path(file)).unwrap();
        assert_eq!(workspace.stamp().fresh(), None, "{file}");
    }
}
