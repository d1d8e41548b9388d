//! Resources of others in an engine are not touched. Images inherit labels, anybody can forge them,
//! and the engine's client may ignore the filter of a listing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use assert_cmd::Command;
use shm_testkit::{Failed, Trial};
use xtask::engine::EngineKind;
use xtask::engine::dist::Dist;
use xtask::engine::image::Image;
use xtask::process::labels::RunId;
use xtask::process::ledger::{EngineAt, Entry};

use crate::foreign_resources::{clean, forge};
use crate::leftovers::nothing_left;
use crate::machine::{Body, Engine, Wrappers, assert_not_carried_out, random_key};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let bodies: [(&str, Body); 9] = [
        ("foreign_resources::a_foreign_container_with_our_name_is_an_error_and_stays", same_name),
        ("foreign_resources::a_foreign_image_with_our_tag_is_an_error_and_stays", same_tag),
        ("foreign_resources::an_image_committed_from_our_container_stays", committed),
        (
            "foreign_resources::a_container_that_only_looks_like_ours_is_listed_and_stays",
            looks_like_ours,
        ),
        (
            "foreign_resources::a_client_that_ignores_filters_causes_no_foreign_removal",
            ignored_filter,
        ),
        ("foreign_resources::an_old_image_loses_our_tag_and_keeps_other_tags", old_image),
        (
            "foreign_resources::a_checkout_with_fifos_and_endless_files_does_not_block_clean",
            hostile_checkout,
        ),
        ("foreign_resources::a_container_on_another_engine_stays_in_the_ledger", another_engine),
        ("foreign_resources::an_image_in_no_ledger_is_listed_and_stays", unknown_image),
    ];
    let engines = engines.iter().filter(|engine| engine.has_containers());
    engines.flat_map(|it| bodies.map(|(name, body)| it.trial(name, body))).collect()
}

/// Returns this engine in the form of a ledger entry.
fn at(engine: &Engine) -> Result<EngineAt, Failed> {
    let (kind, format) = match engine.name {
        "podman" => (EngineKind::Podman, "{{.Host.Hostname}} {{.Store.GraphRoot}}"),
        _ => (EngineKind::Docker, "{{.ID}}"),
    };
    let output = Command::new(engine.name).args(["info", "--format", format]).output()?;
    let identity = String::from_utf8(output.stdout)?.trim().into();
    Ok(EngineAt::current(kind, engine.name, identity))
}

/// Resources of another user in an engine, removed on drop.
struct Theirs<'a> {
    engine: &'a Engine,
    image: String,
    containers: Vec<String>,
    tags: Vec<String>,
}

impl<'a> Theirs<'a> {
    /// Creates an image that contains a file and no program.
    fn new(engine: &'a Engine) -> Result<Self, Failed> {
        let image = format!("localhost/shm_theirs:{:x}", random_key());
        let theirs = Self { engine, image, containers: vec![], tags: vec![] };
        theirs.import(&[], &[&theirs.image])?;
        Ok(theirs)
    }

    /// Creates an image from a unique archive and returns its id. Images of one archive share a
    /// layer: podman's import fails ("layer not known") if another trial removes it meanwhile.
    fn import(&self, options: &[&str], name: &[&str]) -> Result<String, Failed> {
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("image.tar");
        fs::write(folder.path().join("content"), random_key().to_string())?;
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&archive).arg("-C").arg(folder.path()).arg("content").assert().success();
        let archive = archive.to_str().ok_or("the path is not UTF-8")?;
        let printed = self.engine(&[&["import"], options, &[archive], name].concat())?;
        let id = printed.lines().last().unwrap_or_default();
        Ok(id.trim_start_matches("sha256:").to_owned())
    }

    fn engine(&self, args: &[&str]) -> Result<String, Failed> {
        let output = Command::new(self.engine.name).args(args).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{args:?}: {stderr}").into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Creates a container without starting it and returns its name.
    fn container(&mut self, label: &str, image: &str) -> Result<String, Failed> {
        let name = format!("shm-theirs-{:x}", random_key());
        self.containers.push(name.clone());
        self.engine(&["create", "--name", &name, "--label", label, image, "nothing"])?;
        Ok(name)
    }

    fn id(&self, kind: &str, name: &str) -> Result<String, Failed> {
        self.engine(&[kind, "inspect", "--format", "{{.Id}}", name])
    }
}

impl Drop for Theirs<'_> {
    fn drop(&mut self) {
        for container in &self.containers {
            let _ = self.engine(&["rm", "--force", container]);
        }
        for image in self.tags.iter().chain([&self.image]) {
            let _ = self.engine(&["image", "rm", "--force", image]);
        }
    }
}

fn same_name(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    // Another user creates a container with the same name first: run --detach --name NAME ...
    let script = format!(
        "[ \"$1\" = run ] && \"$real\" create --name \"$4\" {} nothing >/dev/null",
        theirs.image
    );
    let wrappers = Wrappers::new().log(engine.name, &script);
    let output = engine.experiment().with(&wrappers).command().output()?;
    let stderr = assert_not_carried_out(&output);
    let log = fs::read_to_string(wrappers.log_file())?;
    let runs = log.lines().filter(|line| line.starts_with("run "));
    let names: Vec<_> = runs.filter_map(|run| run.split(' ').nth(3)).collect();
    theirs.containers.extend(names.iter().copied().map(str::to_owned));
    let is_named = names.iter().any(|name| stderr.contains(name));
    assert!(is_named, "{stderr}");
    names.iter().try_for_each(|name| theirs.id("container", name).map(drop))?;
    clean(&[])?;
    names.iter().try_for_each(|name| theirs.id("container", name).map(drop))
}

fn same_tag(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let tag = Image::new(&Dist::existing(), &theirs.image)?.tag().to_owned();
    theirs.engine(&["tag", &theirs.image, &tag])?;
    theirs.tags.push(tag.clone());
    let id = theirs.id("image", &tag)?;
    let output = engine.experiment().arg("--base").arg(&theirs.image).command().output()?;
    let stderr = assert_not_carried_out(&output);
    let refused = format!("there is an image {tag} that is not ours");
    assert!(stderr.contains(&refused), "{stderr}");
    clean(&[])?;
    let now = theirs.id("image", &tag)?;
    assert_eq!(now, id, "{tag}");
    Ok(())
}

/// Runs the experiment with `--keep` and returns the names of its containers.
fn kept(engine: &Engine) -> Result<Vec<String>, Failed> {
    let report = engine.experiment().arg("--keep").report(0)?;
    let commands = report["steps"].as_array().ok_or("no steps")?.iter();
    let names = commands.filter_map(|step| {
        let command = step["command"].as_array()?;
        let name = command.iter().position(|word| word == "--name")? + 1;
        Some(command[name].as_str()?.to_owned())
    });
    Ok(names.collect())
}

fn committed(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let ours = kept(engine)?;
    // The image inherits all labels of the container, and so does a container of that image.
    let app = format!("mycompany/app:{:x}", random_key());
    theirs.engine(&["commit", &ours[0], &app])?;
    theirs.tags.push(app.clone());
    let database = format!("company-database-{:x}", random_key());
    theirs.containers.push(database.clone());
    let run = ["run", "--detach", "--network", "none", "--volume", "/data", "--name", &database];
    theirs.engine(&[&run[..], &[&app, "/bin/shm_ls", "--watch"]].concat())?;
    let told = clean(&[])?;
    for name in &ours {
        assert!(theirs.id("container", name).is_err(), "{name} is left: {told}");
    }
    let running = theirs.engine(&["inspect", "--format", "{{.State.Running}}", &database])?;
    assert!(running == "true" && told.contains(&database), "{told}");
    theirs.id("image", &app)?;
    Ok(())
}

fn looks_like_ours(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let (run, image) = (RunId::random(), theirs.image.clone());
    let label = format!("shm.experiment.run={run}");
    // One has the right label and the wrong name, the other the right name and the wrong label.
    let labelled = theirs.container(&label, &image)?;
    let named = theirs.container("shm.experiment.run=00112233445566778899aabbccddeeff", &image)?;
    let ledger = forge(&[container(engine, &run, &named)?])?;
    let told = clean(&["--dry-run"])?;
    assert!(!told.contains("would remove"), "{told}");
    let told = clean(&[])?;
    for name in [&labelled, &named] {
        theirs.id("container", name)?;
    }
    let command = format!("rm --force --volumes {}", &theirs.id("container", &labelled)?[..12]);
    assert!(told.contains(&labelled) && told.contains(&command), "{told}");
    // The ledger is removed: the container with the name belongs to another user.
    assert!(!ledger.exists(), "the ledger is left");
    Ok(())
}

fn container(engine: &Engine, run: &RunId, name: &str) -> Result<Entry, Failed> {
    Ok(Entry::Container { engine: at(engine)?, run: run.clone(), name: name.to_owned() })
}

fn ignored_filter(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let image = theirs.image.clone();
    let stranger = theirs.container("theirs=yes", &image)?;
    let wrappers = Wrappers::new().wrap(
        engine.name,
        r#"[ "$1" = ps ] && { shift; for word; do shift; case $word in
            --filter) ;; label=*|id=*|name=*) ;; *) set -- "$@" "$word";; esac; done; set -- ps "$@"; }"#,
    );
    engine.experiment().with(&wrappers).command().output()?;
    theirs.id("container", &stranger)?;
    nothing_left(engine)
}

fn old_image(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let tag = format!("shm_experiment:{:012x}", random_key());
    theirs.engine(&["tag", &theirs.image, &tag])?;
    theirs.tags.push(tag.clone());
    let id = theirs.id("image", &tag)?;
    let told = with_image(engine, &tag, &id, Path::new("/nonexistent"))?;
    assert!(theirs.id("image", &tag).is_err(), "{tag} is left: {told}");
    assert_eq!(theirs.id("image", &theirs.image)?, id, "{told}");
    // The tag now belongs to another image.
    let other = theirs.import(&[], &[&tag])?;
    with_image(engine, &tag, &id, Path::new("/nonexistent"))?;
    assert!(theirs.id("image", &tag)?.ends_with(&other), "{tag} is gone");
    Ok(())
}

/// Cleans up after a run that built an image from a checkout.
fn with_image(engine: &Engine, tag: &str, id: &str, checkout: &Path) -> Result<String, Failed> {
    forge(&[Entry::Image {
        engine: at(engine)?,
        id: id.trim_start_matches("sha256:").parse()?,
        tag: tag.to_owned(),
        base: "scratch".to_owned(),
        checkout: checkout.to_owned(),
    }])?;
    clean(&[])
}

fn hostile_checkout(engine: &Engine) -> Result<(), Failed> {
    let theirs = Theirs::new(engine)?;
    let id = theirs.id("image", &theirs.image)?;
    let checkout = tempfile::tempdir()?;
    let dist = checkout.path().join("dist");
    fs::create_dir(&dist)?;
    let tool = dist.join("shm_wr");
    Command::new("mkfifo").arg(&tool).assert().success();
    let tag = format!("shm_experiment:{:012x}", random_key());
    for _ in 0..2 {
        theirs.engine(&["tag", &theirs.image, &tag])?;
        let told = with_image(engine, &tag, &id, checkout.path())?;
        assert!(told.contains(&format!("removed image {tag}")), "{told}");
        fs::remove_file(&tool)?;
        symlink("/dev/zero", &tool)?;
    }
    Ok(())
}

fn another_engine(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let (run, image) = (RunId::random(), theirs.image.clone());
    let name = theirs.container(&format!("shm.experiment.run={run}"), &image)?;
    let elsewhere = EngineAt { identity: "of another machine".into(), ..at(engine)? };
    let ledger =
        forge(&[Entry::Container { engine: elsewhere, run: run.clone(), name: name.clone() }])?;
    let output = crate::machine::xtask().arg("clean").output()?;
    let stderr = assert_not_carried_out(&output);
    assert!(stderr.contains("of another machine"), "{stderr}");
    theirs.id("container", &name)?;
    assert!(ledger.exists(), "the ledger is gone");
    // On the right engine it is removed.
    fs::remove_file(ledger)?;
    forge(&[container(engine, &run, &name)?])?;
    clean(&[])?;
    assert!(theirs.id("container", &name).is_err(), "{name} is left");
    Ok(())
}

fn unknown_image(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let id = theirs.import(&["--change", "LABEL shm.experiment.image=theirs"], &[])?;
    theirs.tags.push(id.clone());
    let told = clean(&[])?;
    assert!(told.contains("image rm ") && told.contains(&id[..12]), "no {id} in {told}");
    theirs.id("image", &id).map(drop)
}
