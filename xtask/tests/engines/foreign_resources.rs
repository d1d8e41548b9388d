//! Resources of others on the host are not touched: their objects under a run's keys and names
//! stay. `cargo xtask clean` removes what the ledger of an ended run names if it has the run's id.

use std::fs::{self, DirBuilder, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use assert_cmd::Command;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::process::Signal;
use serde_json::json;
use shm_testkit::{Effort, Failed, Trial};
use xtask::engine::dist::Dist;
use xtask::process::labels::RunId;
use xtask::process::ledger::{Entry, LeftoverManifest};
use xtask::process::volume;

use crate::fault_points::{Calls, Fault, FaultPoint};
use crate::interrupted::{Running, SOON};
use crate::isolated_env::{self, Inventory};
use crate::ledgers;
use crate::machine::{Body, Engine, assert_not_carried_out, random_key, xtask};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let bodies: [(&str, Body); 8] = [
        ("foreign_resources::objects_of_others_with_our_keys_are_kept", others_objects),
        ("foreign_resources::clean_ends_exactly_the_process_that_a_ledger_names", others_processes),
        ("foreign_resources::clean_ends_neither_itself_nor_its_ancestors", ancestors),
        ("foreign_resources::a_process_with_the_reused_id_of_a_killed_run_is_kept", reused_id),
        ("foreign_resources::a_run_that_is_a_zombie_counts_as_ended", zombie),
        ("foreign_resources::a_dry_run_lists_what_clean_removes_and_removes_nothing", dry_run),
        ("foreign_resources::a_ledger_that_others_could_have_written_is_refused", others_ledgers),
        ("foreign_resources::a_volume_of_deeply_nested_folders_is_removed", deep_volume),
    ];
    let namespaces = engines.iter().filter(|engine| !engine.has_containers());
    namespaces
        .flat_map(|it| bodies.map(|(name, body)| isolated_env::trial(it, name, body)))
        .collect()
}

/// Runs `cargo xtask clean` and returns its standard output.
pub(crate) fn clean(args: &[&str]) -> Result<String, Failed> {
    let output = xtask().arg("clean").args(args).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Writes the ledger of a run that has ended.
pub(crate) fn forge(entries: &[Entry]) -> Result<PathBuf, Failed> {
    let folder = ledgers::state().join("shm_experiment");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let path = folder.join(format!("{}.jsonl", RunId::random()));
    let mut file = fs::File::create(&path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    writeln!(file, "{}", json!({ "version": 1, "pid": 1 }))?;
    for entry in entries {
        writeln!(file, "{}", serde_json::to_string(entry)?)?;
    }
    // The run ended so long ago that no engine creates anything more for it.
    file.set_modified(SystemTime::now() - Duration::from_hours(1))?;
    Ok(path)
}

fn memory(text: &str, keys: &[i32]) -> Entry {
    Entry::Memory(LeftoverManifest { text: text.to_owned(), keys: keys.to_vec() })
}

/// Writes a text into one object of each kind that has a key or a name derived from it.
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
        Command::new(Dist::existing().tool("shm_wr")).args(object).arg(text).assert().success();
    }
}

fn others_objects(_: &Engine) -> Result<(), Failed> {
    let (theirs, empty, ours) = (random_key(), random_key(), random_key());
    write(theirs, "theirs");
    // A new object of another program is empty, and a container may claim that it holds our text.
    write(empty, "");
    let evil = env::temp_dir().join("shm_experiment.evil");
    fs::create_dir(&evil)?;
    let remains = json!({ "owner": "a/1/2/3", "text": "", "keys": [empty, theirs] });
    fs::write(evil.join("run.json"), remains.to_string())?;
    let before = Inventory::take();
    write(ours, "ours, for it is random");
    // The ended run planned to use the same keys, with another text.
    forge(&[memory("ours, for it is random", &[theirs, empty, ours]), memory("", &[empty])])?;
    let told = clean(&[])?;
    let key = shm_core::Key::new(ours).ok_or("no key")?.to_string();
    assert!(told.contains(&key) && told.contains("left"), "{told}");
    before.compare();
    Ok(())
}

/// Returns the start time of a process from `/proc/PID/stat`.
fn started(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let mut fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    fields.nth(19).unwrap().parse().unwrap()
}

fn entry(run: &RunId, pid: u32, started: u64) -> Entry {
    Entry::Process { run: run.clone(), pid, started }
}

fn others_processes(_: &Engine) -> Result<(), Failed> {
    let run = RunId::random();
    let path = env::var("PATH")?;
    let start = |script: &str| {
        let script = format!("run={run}; {script}");
        Running::start_program("sh", vec!["-c".to_owned(), script], &path)
    };
    let with = "SHM_EXPERIMENT_RUN=$run exec";
    let another = format!("SHM_EXPERIMENT_RUN={} exec sleep 61", RunId::random());
    let as_nobody = format!("{with} /usr/bin/setpriv --reuid 65534 --clear-groups sleep 62");
    // No id; the id of another run; another user; another start time; the id as an argument.
    let others = [
        "exec sleep 60",
        &another,
        &as_nobody,
        &format!("{with} sleep 63"),
        "exec sh -c 'sleep 64 >/dev/null 2>&1; true' $run",
    ];
    let others = others.map(start);
    let ours = start(&format!("{with} sleep 65"))?;
    thread::sleep(Duration::from_millis(300));
    let before = Inventory::take();
    let mut entries = Vec::new();
    for (index, other) in others.iter().enumerate() {
        let pid = other.as_ref().map_err(|_| "not started")?.pid();
        entries.push(entry(&run, pid, started(pid) + u64::from(index == 3)));
    }
    entries.push(entry(&run, ours.pid(), started(ours.pid())));
    let ledger = forge(&entries)?;
    let output = xtask().arg("clean").output()?;
    let stderr = assert_not_carried_out(&output);
    let told = String::from_utf8(output.stdout)?;
    let ended = format!("host: removed process {}", ours.pid());
    assert!(told.matches("process").count() == 1 && told.contains(&ended), "{told}");
    // That process may belong to the run and have changed its user: clean cannot decide.
    let changed =
        stderr.contains("it belongs to user 65534 now") && stderr.matches("process ").count() == 1;
    assert!(changed, "{stderr}");
    assert_eq!(ours.output(SOON)?.status.signal(), Some(9), "{told}");
    let after = Inventory::take();
    for seconds in 60..65 {
        let sleep = format!("sleep\0{seconds}");
        assert!(after.has(&sleep) && before.has(&sleep), "sleep {seconds} was ended: {told}");
    }
    let left = fs::read_to_string(&ledger)?.matches("process").count();
    assert_eq!(left, 1, "the ledger must still name one process");
    fs::remove_file(ledger)?;
    for other in others {
        let other = other?;
        other.signal(Signal::KILL)?;
        other.output(SOON)?;
    }
    Ok(())
}

/// The shell that starts clean has everything that a ledger demands of a process.
fn ancestors(_: &Engine) -> Result<(), Failed> {
    let run = RunId::random();
    let path = forge(&[])?;
    let script = format!(
        "started=$(cut -d' ' -f22 /proc/$$/stat)\n\
         echo '{{\"process\":{{\"run\":\"{run}\",\"pid\":'$$',\"started\":'$started'}}}}' >> {}\n\
         {} clean; echo status $?",
        path.display(),
        env!("CARGO_BIN_EXE_xtask"),
    );
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]).envs(ledgers::environment());
    let output =
        shell.env("SHM_EXPERIMENT_RUN", run.to_string()).env("PATH", "/usr/bin:/bin").output()?;
    let told = String::from_utf8(output.stdout)?;
    assert!(
        told.contains("it is this command or one that started it") && told.ends_with("status 0\n"),
        "{told}"
    );
    fs::remove_file(path)?;
    Ok(())
}

/// Starts a run that is killed at its tenth call, when it has containers.
fn killed(engine: &Engine) -> Result<Running, Failed> {
    let point = FaultPoint { call: 10, end: false };
    let calls = Calls::new(engine, Some((Fault::Signal(Signal::KILL), point)));
    let experiment = engine.experiment().with(&calls.wrappers);
    let running = Running::start(experiment.args(), &experiment.path())?;
    let stat = || fs::read_to_string(format!("/proc/{}/stat", running.pid())).unwrap_or_default();
    // Its files, and so the lock on its ledger, stay open until its last thread has ended.
    let threads =
        || fs::read_dir(format!("/proc/{}/task", running.pid())).map_or(0, Iterator::count);
    while !stat().contains(") Z ") || threads() > 1 {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(running)
}

fn reused_id(engine: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let running = killed(engine)?;
    let status = running.output(SOON)?.status;
    assert_eq!(status.signal(), Some(9), "{status:?}");
    fs::write("/proc/sys/kernel/ns_last_pid", (running.pid() - 1).to_string())?;
    let other = Running::start_program("sleep", vec!["60".to_owned()], &env::var("PATH")?)?;
    assert_eq!(other.pid(), running.pid(), "the new process did not get the id");
    let told = clean(&[])?;
    assert!(told.contains("removed process"), "{told}");
    // The process with the reused id is still alive.
    assert!(Inventory::take().has(&format!("process: {} sleep", other.pid())), "{told}");
    other.signal(Signal::KILL)?;
    other.output(SOON)?;
    before.compare();
    Ok(())
}

fn zombie(engine: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let running = killed(engine)?;
    let told = clean(&[])?;
    assert!(told.contains("removed process"), "{told}");
    before.compare();
    running.output(SOON)?;
    Ok(())
}

fn dry_run(engine: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let running = killed(engine)?;
    running.output(SOON)?;
    let key = random_key();
    write(key, "ours, for it is random");
    forge(&[memory("ours, for it is random", &[key])])?;
    // The interrupted call ends by itself.
    thread::sleep(Duration::from_millis(500));
    let left = Inventory::take();
    let told = clean(&["--dry-run"])?;
    left.compare();
    let told: Vec<_> = told.lines().collect();
    assert!(told.iter().all(|line| line.contains("would remove")), "{told:?}");
    // Clean removes exactly what the dry run listed.
    let done = clean(&[])?;
    let done: Vec<_> = done.lines().map(|it| it.replace("removed", "would remove")).collect();
    assert!(done == told && done.len() >= 2, "removed {done:?}, but the dry run listed {told:?}");
    before.compare();
    Ok(())
}

/// Asserts that clean fails with one of these reasons and a next step.
fn refused_for_one_of(reasons: &[&str]) -> Result<(), Failed> {
    for args in [&["clean"][..], &["clean", "--dry-run"]] {
        let output = xtask().args(args).output()?;
        let stderr = assert_not_carried_out(&output);
        assert!(reasons.iter().any(|why| stderr.contains(why)), "no {reasons:?} in: {stderr}");
    }
    Ok(())
}

fn others_ledgers(engine: &Engine) -> Result<(), Failed> {
    let key = random_key();
    write(key, "theirs");
    let before = Inventory::take();
    let path = forge(&[memory("theirs", &[key])])?;
    let folder = path.parent().ok_or("no folder")?.to_owned();
    // A bad folder is refused by every command, a bad file only by clean.
    let refused = |why: &str| refused_for_one_of(&[why]);
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    mode(&folder, 0o777)?;
    refused("is writable for others (mode 0777)")?;
    let output = engine.experiment().command().output()?;
    let stderr = assert_not_carried_out(&output);
    assert!(stderr.contains("mode 0777"), "{stderr}");
    mode(&folder, 0o700)?;
    mode(&path, 0o666)?;
    refused("is writable for others (mode 0666)")?;
    mode(&path, 0o600)?;
    let chown = |path: &Path, owner| std::os::unix::fs::chown(path, Some(owner), None);
    chown(&path, 65534)?;
    refused("belongs to user 65534")?;
    chown(&path, 0)?;
    chown(&folder, 65534)?;
    refused("belongs to user 65534")?;
    chown(&folder, 0)?;
    // Clean must not hang on a file that is not regular.
    let real = folder.join("real");
    fs::rename(&path, &real)?;
    symlink(&real, &path)?;
    refused_for_one_of(&["cannot be read", "symbolic link"])?;
    fs::remove_file(&path)?;
    Command::new("/usr/bin/mkfifo").arg(&path).assert().success();
    refused("not a regular file")?;
    fs::remove_file(&path)?;
    fs::write(&path, "{\"version\":2,\"pid\":1}\n")?;
    mode(&path, 0o600)?;
    refused("it has version 2")?;
    fs::remove_file(&path)?;
    let aside = folder.with_file_name("aside");
    fs::rename(&folder, &aside)?;
    symlink(&aside, &folder)?;
    refused("is a symbolic link")?;
    fs::remove_file(&folder)?;
    fs::remove_dir_all(aside)?;
    before.compare();
    Ok(())
}

fn deep_volume(_: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let run = RunId::random();
    let path = env::temp_dir().join(format!("{}{run}", volume::PREFIX));
    fs::create_dir(&path)?;
    let mut folder = openat(CWD, &path, OFlags::DIRECTORY, Mode::empty())?;
    for _ in 0..Effort::current().nested_folders {
        mkdirat(&folder, "d", Mode::RWXU)?;
        folder = openat(&folder, "d", OFlags::DIRECTORY, Mode::empty())?;
    }
    drop(folder);
    fs::write(path.join("file"), "")?;
    symlink("/", path.join("link"))?;
    forge(&[Entry::Folder { run, path }])?;
    clean(&[])?;
    before.compare();
    Ok(())
}
