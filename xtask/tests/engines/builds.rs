//! Builds of the tools that fail: the message names the cause and the next step.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use assert_cmd::Command;
use shm_testkit::need::{ANOTHER_USER, MOUNTS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as};
use shm_testkit::{Failed, Trial};

use crate::machine::{assert_not_carried_out, workspace, xtask};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::here("builds::a_missing_compiler_is_named", &[], missing),
        Trial::here("builds::a_compiler_that_may_not_run_is_not_called_missing", &[], not_allowed),
        Trial::here("builds::a_checkout_of_another_user_is_named", &[ANOTHER_USER], not_ours),
        Trial::isolated("builds::a_full_target_folder_is_named", &[MOUNTS], full),
    ]
}

/// Builds with only the programs of a folder, and returns standard error.
fn build(folder: &std::path::Path) -> Result<String, Failed> {
    let mut dist = xtask();
    dist.arg("dist").env("PATH", folder).env_remove("CARGO").env_remove("RUSTC");
    Ok(assert_not_carried_out(&dist.output()?))
}

fn missing() -> Result<(), Failed> {
    let stderr = build(tempfile::tempdir()?.path())?;
    assert!(stderr.contains("rustc is not installed"), "{stderr}");
    assert!(stderr.contains("next step: install Rust"), "{stderr}");
    Ok(())
}

fn not_allowed() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("rustc"), "#!/bin/sh\n")?;
    let stderr = build(folder.path())?;
    assert!(!stderr.contains("not installed"), "{stderr}");
    assert!(stderr.contains("next step: this user may not run"), "{stderr}");
    Ok(())
}

/// A cargo that writes where the real one would; the real one may be in a private folder.
const CARGO: &str = "#!/bin/sh\nwhile [ \"$1\" != --target-dir ]; do shift; done\n\
                     mkdir -p \"$2\" && exec touch \"$2/.cargo-lock\"\n";

fn not_ours() -> Result<(), Failed> {
    let (programs, public) = (tempfile::tempdir()?, PublicFolder::new());
    let public_program = |name: &str, text: &str| {
        let path = programs.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok::<_, Failed>(public.copy(path))
    };
    let mut dist = run_as(NOBODY, public.copy(env!("CARGO_BIN_EXE_xtask")));
    dist.arg("dist").env("CARGO", public_program("cargo", CARGO)?);
    dist.env("RUSTC", public_program("rustc", "#!/bin/sh\n")?);
    let stderr = assert_not_carried_out(&dist.output()?);
    let folder = workspace().join("target/static");
    let existing = folder.ancestors().find(|it| it.exists()).unwrap();
    let owner = existing.metadata()?.uid();
    for words in [
        "next step: this user may not write in ",
        &format!("belongs to user {owner}"),
        &format!("run this as user {owner}"),
    ] {
        assert!(stderr.contains(words), "no {words:?} in: {stderr}");
    }
    Ok(())
}

fn full() -> Result<(), Failed> {
    let target = workspace().join("target/static");
    let mount = ["-t", "tmpfs", "-o", "size=64k", "none"];
    Command::new("mount").args(mount).arg(target).assert().success();
    let stderr = assert_not_carried_out(&xtask().arg("dist").output()?);
    assert!(stderr.contains("next step: free space in "), "{stderr}");
    Ok(())
}
