//! Images built by hand, and images with a shell and `ipcs`.

use std::path::Path;

use assert_cmd::Command;
use shm_testkit::programs::which;
use shm_testkit::{Failed, Trial};

use crate::machine::{Engine, random_key, workspace};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let containers = engines.iter().filter(|engine| engine.has_containers());
    containers
        .flat_map(|engine| {
            [
                engine.trial("the_tools_run_in_a_scratch_image_built_by_hand", by_hand),
                engine.trial("a_build_without_dist_names_the_command_that_creates_it", no_dist),
                engine.trial("on_a_base_with_a_shell_its_ipcs_lists_the_segments", with_shell),
            ]
        })
        .collect()
}

/// An image, removed on drop.
pub(crate) struct Image<'a> {
    engine: &'a Engine,
    pub(crate) name: String,
}

impl<'a> Image<'a> {
    pub(crate) fn new(engine: &'a Engine) -> Self {
        Self { engine, name: format!("localhost/shm_trial:{:x}", random_key()) }
    }

    /// Builds an image with nothing but the tools.
    pub(crate) fn of_tools(engine: &'a Engine) -> Result<Self, Failed> {
        let image = Self::new(engine);
        let context = workspace().to_str().unwrap();
        image.engine(&["build", "--build-arg", "BASE=scratch", "--tag", &image.name, context])?;
        Ok(image)
    }

    /// Runs a command of the engine and returns its output.
    pub(crate) fn engine(&self, args: &[&str]) -> Result<String, Failed> {
        let output = Command::new(self.engine.name).args(args).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{args:?}: {stderr}").into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        // A trial that failed early has no image to remove.
        let _ = self.engine(&["image", "rm", "--force", &self.name]);
    }
}

fn by_hand(engine: &Engine) -> Result<(), Failed> {
    let image = Image::of_tools(engine)?;
    let run = ["run", "--rm", "--network", "none", &image.name];
    let pair = image.engine(&[&run[..], &["shm_wr", "hello_world"]].concat())?;
    assert_eq!(pair, "shm write success\n");
    let list = image.engine(&[&run[..], &["shm_ls"]].concat())?;
    let empty = shm_core::table::Table(vec![]).to_string();
    assert_eq!(list, empty);
    Ok(())
}

fn no_dist(engine: &Engine) -> Result<(), Failed> {
    let context = tempfile::tempdir()?;
    for file in ["Dockerfile", ".dockerignore"] {
        std::fs::copy(workspace().join(file), context.path().join(file))?;
    }
    let mut build = Command::new(engine.name);
    build.args(["build", "--force-rm", "--build-arg", "BASE=scratch"]).arg(context.path());
    let output = build.output()?;
    let printed = String::from_utf8([output.stdout, output.stderr].concat())?;
    let has_hint = printed.contains("dist/shm_wr") && printed.contains("cargo xtask dist");
    assert!(!output.status.success() && has_hint, "{printed}");
    Ok(())
}

/// Runs the article's commands literally, on an image assembled from files of this machine.
fn with_shell(engine: &Engine) -> Result<(), Failed> {
    let image = Image::new(engine);
    let root = tempfile::tempdir()?;
    for program in ["bash", "ipcs"] {
        let path = which(program).ok_or_else(|| format!("{program} is not installed"))?;
        install(&path, root.path())?;
    }
    std::fs::create_dir_all(root.path().join("etc"))?;
    std::fs::write(root.path().join("etc/passwd"), "root:x:0:0:root:/:/bin/bash\n")?;
    let archive = root.path().with_extension("tar");
    let tar = ["--create", "--file", archive.to_str().unwrap(), "--directory"];
    Command::new("tar").args(tar).arg(root.path()).arg(".").assert().success();
    let imported = image.engine(&["import", archive.to_str().unwrap(), &image.name]);
    std::fs::remove_file(&archive)?;
    imported?;

    let report = engine.experiment().arg("--base").arg(&image.name).report(0)?;
    let steps = report["steps"].as_array().unwrap();
    let list = steps.iter().find(|step| step["id"] == "a-list").unwrap();
    let command = list["command"].as_array().unwrap();
    assert!(command.ends_with(&["ipcs".into(), "-m".into()]), "{command:?}");
    assert!(list["stdout"].as_str().unwrap().contains(" root "), "{}", list["stdout"]);
    let start = steps.iter().find(|step| step["id"] == "start-a").unwrap();
    assert!(start["command"].to_string().contains("/bin/bash"), "{start}");
    remove_built_on(&image)
}

/// Removes the image that the experiment built on this base.
fn remove_built_on(image: &Image<'_>) -> Result<(), Failed> {
    let filter = format!("label=shm.experiment.base={}", image.name);
    let ids = image.engine(&["image", "ls", "--quiet", "--filter", &filter])?;
    for id in ids.split_whitespace() {
        image.engine(&["image", "rm", "--force", id])?;
    }
    Ok(())
}

/// Copies a program and its libraries to the same paths below `root`.
fn install(program: &Path, root: &Path) -> Result<(), Failed> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8(output.stdout)?;
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
    for path in libraries.chain([program]) {
        let target = root.join(path.strip_prefix("/")?);
        std::fs::create_dir_all(target.parent().unwrap())?;
        std::fs::copy(path, target)?;
    }
    let bin = root.join("bin").join(program.file_name().unwrap());
    std::fs::create_dir_all(bin.parent().unwrap())?;
    if !bin.exists() {
        std::fs::copy(program, bin)?;
    }
    Ok(())
}
