//! What is not ours is not touched: names, keys and tags that others have already are refused or
//! avoided, and `cargo xtask clean` removes what carries the name of a run that is gone, and nothing else.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use assert_cmd::Command;
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;
use xtask::dist::Dist;
use xtask::engine::image::Image;
use xtask::host::{Remains, VOLUME_PREFIX};
use xtask::ledger::Owner;

use crate::interrupted::{Running, SOON};
use crate::machine::{Body, Engine, Wrappers, ensure, random_key, xtask};
use crate::moments::{Calls, Fault, Moment};
use crate::own_world::{self, Inventory};

pub(crate) fn trials(engines: &[Arc<Engine>]) -> Vec<Trial> {
    let of_namespaces: [(&str, Body); 4] = [
        ("not_ours::what_others_have_under_our_keys_is_left_alone", others_objects),
        ("not_ours::who_got_the_id_of_a_killed_run_is_not_its_owner", reused_id),
        ("not_ours::a_run_that_nobody_waited_for_is_gone", zombie),
        ("not_ours::a_dry_run_tells_and_removes_nothing", dry_run),
    ];
    let of_engines: [(&str, Body); 4] = [
        ("not_ours::a_container_with_the_name_of_ours_is_refused_and_stays", same_name),
        ("not_ours::an_image_with_the_tag_of_ours_is_refused_and_stays", same_tag),
        ("not_ours::containers_of_others_and_of_live_runs_stay", others_containers),
        ("not_ours::an_image_of_a_build_that_may_go_on_is_told_and_stays", young_image),
    ];
    let mut trials = Vec::new();
    for engine in engines {
        if engine.has_containers() {
            trials.extend(of_engines.map(|(name, body)| engine.trial(name, body)));
        } else {
            trials.extend(of_namespaces.map(|(name, body)| own_world::trial(engine, name, body)));
        }
    }
    trials
}

/// An owner like this process that started at another time: its id was given out again.
fn gone() -> String {
    let mut owner = Owner::current().to_string();
    owner.truncate(owner.rfind('/').unwrap());
    format!("{owner}/1")
}

/// Cleans up and says what that told.
fn clean(args: &[&str]) -> Result<String, Failed> {
    let output = xtask().arg("clean").args(args).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success(), || stderr.to_string())?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The folder that a matrix has as its volume.
fn volume(name: &str, owner: &str, text: &str, keys: &[i32]) -> Result<PathBuf, Failed> {
    let folder = env::temp_dir().join(format!("{VOLUME_PREFIX}{name}"));
    fs::create_dir(&folder)?;
    let remains = Remains { owner: owner.to_owned(), text: text.to_owned(), keys: keys.to_vec() };
    remains.write(&folder)?;
    Ok(folder)
}

/// Writes a text into one of everything that has a key or a name after a key.
fn write(key: i32, text: &str) {
    let (key, name) =
        (key.to_string(), format!("shm_experiment_{}", shm_core::Key::new(key).unwrap()));
    let objects: [&[&str]; 5] = [
        &["--key", &key],
        &["--object", "sem", "--key", &key],
        &["--object", "msg", "--key", &key],
        &["--object", "mqueue", "--key", &key],
        &["--posix", &name],
    ];
    for object in objects {
        Command::new(Dist::as_it_is().tool("shm_wr")).args(object).arg(text).assert().success();
    }
}

fn others_objects(_: &Engine) -> Result<(), Failed> {
    let key = random_key();
    write(key, "theirs");
    volume("live", &Owner::current().to_string(), "theirs", &[key])?;
    volume("elsewhere", "another-boot/1/2/3", "theirs", &[key])?;
    volume("nonsense", "hm", "theirs", &[key])?;
    fs::create_dir(env::temp_dir().join(format!("{VOLUME_PREFIX}empty")))?;
    // Somebody who happens to have the variable, with what is no owner or one on another machine.
    let path = env::var("PATH")?;
    let others = ["hm", "another-boot/1/2/3", &Owner::current().to_string()].map(|owner| {
        let script = format!("SHM_EXPERIMENT_OWNER={owner} exec sleep 60");
        Running::start_program("sh", vec!["-c".to_owned(), script], &path)
    });
    thread::sleep(Duration::from_millis(200));
    let before = Inventory::take();
    // The run that is gone had the same keys in mind, and another text.
    volume("gone", &gone(), "ours", &[key, key + 1])?;
    write(key + 1, "ours");
    let told = clean(&[])?;
    ensure(told.contains("shm_experiment.gone"), || told.clone())?;
    let compared = before.compare();
    for other in others {
        let other = other?;
        other.signal(Signal::KILL)?;
        other.output(SOON)?;
    }
    compared
}

/// Starts a run and has it killed at its tenth call, when there are containers.
fn killed(engine: &Engine) -> Result<Running, Failed> {
    let moment = Moment { call: 10, end: false };
    let calls = Calls::new(engine, Some((Fault::Signal(Signal::KILL), moment)));
    let experiment = engine.experiment().with(&calls.wrappers);
    let running = Running::start(experiment.args(), &experiment.path())?;
    let stat = || fs::read_to_string(format!("/proc/{}/stat", running.pid())).unwrap_or_default();
    while !stat().contains(") Z ") {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(running)
}

fn reused_id(engine: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let running = killed(engine)?;
    let status = running.output(SOON)?.status;
    ensure(status.signal() == Some(9), || format!("{status:?}"))?;
    fs::write("/proc/sys/kernel/ns_last_pid", (running.pid() - 1).to_string())?;
    let other = Running::start_program("sleep", vec!["60".to_owned()], &env::var("PATH")?)?;
    ensure(other.pid() == running.pid(), || "another process got the id".to_owned())?;
    let told = clean(&[])?;
    ensure(told.contains("removed process"), || told.clone())?;
    // It lives: else it would hear no signal.
    ensure(Inventory::take().has(&format!("process: {} sleep", other.pid())), || told.clone())?;
    other.signal(Signal::KILL)?;
    other.output(SOON)?;
    before.compare()
}

fn zombie(engine: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let running = killed(engine)?;
    let told = clean(&[])?;
    ensure(told.contains("removed process"), || told.clone())?;
    before.compare()?;
    running.output(SOON)?;
    Ok(())
}

fn dry_run(engine: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let running = killed(engine)?;
    running.output(SOON)?;
    let key = random_key();
    volume("gone", &gone(), "ours", &[key])?;
    write(key, "ours");
    // The call that was under way ends by itself.
    thread::sleep(Duration::from_millis(500));
    let left = Inventory::take();
    let told = clean(&["--dry-run"])?;
    left.compare()?;
    let told: Vec<_> = told.lines().collect();
    ensure(told.iter().all(|line| line.contains("would remove")), || format!("{told:?}"))?;
    // What is done is what was told.
    let done = clean(&[])?;
    let done: Vec<_> = done.lines().map(|it| it.replace("removed", "would remove")).collect();
    ensure(done == told && done.len() >= 2, || format!("{done:?}, but told was {told:?}"))?;
    before.compare()
}

/// Something of another's in an engine, which goes when the trial is over.
struct Theirs<'a> {
    engine: &'a Engine,
    image: String,
    containers: Vec<String>,
    tags: Vec<String>,
}

impl<'a> Theirs<'a> {
    /// With an image that holds a file and no program.
    fn new(engine: &'a Engine) -> Result<Self, Failed> {
        let image = format!("localhost/shm_theirs:{:x}", random_key());
        let theirs = Self { engine, image, containers: vec![], tags: vec![] };
        theirs.import(&[], &[&theirs.image])?;
        Ok(theirs)
    }

    /// Makes an image of an archive like no other; says its id. Images of the same archive share a layer:
    /// podman's import fails ("layer not known") where another trial removes the last other one meanwhile.
    fn import(&self, options: &[&str], name: &[&str]) -> Result<String, Failed> {
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("image.tar");
        fs::write(folder.path().join("content"), random_key().to_string())?;
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&archive).arg("-C").arg(folder.path()).arg("content").assert().success();
        let archive = archive.to_str().ok_or("no text")?;
        let told = self.engine(&[&["import"], options, &[archive], name].concat())?;
        let id = told.lines().last().unwrap_or_default();
        Ok(id.trim_start_matches("sha256:").to_owned())
    }

    fn engine(&self, args: &[&str]) -> Result<String, Failed> {
        let output = Command::new(self.engine.name).args(args).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure(output.status.success(), || format!("{args:?}: {stderr}"))?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A container that has not been started; says its name.
    fn container(&mut self, label: &str) -> Result<String, Failed> {
        loop {
            let name = format!("shm-theirs-{:x}", random_key());
            self.containers.push(name.clone());
            let create = ["create", "--name", &name, "--label", label, &self.image, "nothing"];
            let output = Command::new(self.engine.name).args(create).output()?;
            // Another trial that cleans at the same time takes this for a command of a run that is gone.
            if output.status.signal() == Some(Signal::KILL.as_raw()) {
                continue;
            }
            let stderr = String::from_utf8_lossy(&output.stderr);
            ensure(output.status.success(), || format!("{create:?}: {stderr}"))?;
            return Ok(name);
        }
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
    // Somebody is faster, by the very name: run --detach --name NAME ...
    let script = format!(
        "[ \"$1\" = run ] && \"$real\" create --name \"$4\" {} nothing >/dev/null",
        theirs.image
    );
    let wrappers = Wrappers::new().log(engine.name, &script);
    let output = engine.experiment().with(&wrappers).command().output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let log = fs::read_to_string(wrappers.log_file())?;
    let runs = log.lines().filter(|line| line.starts_with("run "));
    let names: Vec<_> = runs.filter_map(|run| run.split(' ').nth(3)).collect();
    theirs.containers.extend(names.iter().copied().map(str::to_owned));
    let told = names.iter().any(|name| stderr.contains(name));
    ensure(output.status.code() == Some(2) && told, || stderr.to_string())?;
    names.iter().try_for_each(|name| theirs.id("container", name).map(drop))?;
    clean(&[])?;
    names.iter().try_for_each(|name| theirs.id("container", name).map(drop))
}

fn same_tag(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let tag = Image::new(&Dist::as_it_is(), &theirs.image)?.tag().to_owned();
    theirs.engine(&["tag", &theirs.image, &tag])?;
    theirs.tags.push(tag.clone());
    let id = theirs.id("image", &tag)?;
    let output = engine.experiment().arg("--base").arg(&theirs.image).command().output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let refused = format!("there is an image {tag} that is not ours");
    ensure(output.status.code() == Some(2) && stderr.contains(&refused), || stderr.to_string())?;
    clean(&[])?;
    let now = theirs.id("image", &tag)?;
    ensure(now == id, || format!("{tag} is {now} and not {id}"))
}

fn others_containers(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let owner = |owner: &str| format!("shm.experiment.owner={owner}");
    let live = Owner::current().to_string();
    let stay = [
        theirs.container("shm.experiment.run=0123456789")?,
        theirs.container(&owner("hm"))?,
        theirs.container(&owner("another-boot/1/2/3"))?,
        theirs.container(&owner(&live))?,
    ];
    let goes = theirs.container(&owner(&gone()))?;
    let told = clean(&["--dry-run"])?;
    let would = format!("would remove container {goes}");
    // Another trial that cleans at the same time may be faster.
    let is_there = theirs.id("container", &goes).is_ok();
    ensure(told.contains(&would) || !is_there, || told.clone())?;
    let told = clean(&[])?;
    ensure(theirs.id("container", &goes).is_err(), || told.clone())?;
    let goes_on = format!("container {} belongs to a run that goes on", stay[3]);
    ensure(told.contains(&goes_on), || told.clone())?;
    for name in &stay {
        theirs.id("container", name)?;
    }
    Ok(())
}

fn young_image(engine: &Engine) -> Result<(), Failed> {
    let mut theirs = Theirs::new(engine)?;
    let id = theirs.import(&["--change", "LABEL shm.experiment.image=theirs"], &[])?;
    theirs.tags.push(id.clone());
    let told = clean(&["--dry-run"])?;
    let lines = told.lines().filter(|line| line.contains("would remove image"));
    ensure(lines.into_iter().any(|line| line.contains(&id)), || format!("no {id} in {told}"))?;
    clean(&[])?;
    theirs.id("image", &id).map(drop)
}
