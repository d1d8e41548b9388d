//! Random scripts on an engine and on the model. If the two differ, proptest searches for the
//! shortest script that shows the difference.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use shm_core::posix::Name;
use shm_core::{Address, IpcObject, Key, Target};
use shm_testkit::{Effort, Failed, Trial, count};
use xtask::commands::session::Session;
use xtask::engine::EngineKind;
use xtask::engine::discover::{self, Query};
use xtask::engine::dist::Dist;
use xtask::engine::image::SCRATCH;
use xtask::engine::kubernetes::Cluster;
use xtask::judge::run::{self, describe};
use xtask::judge::verdict::Verdict;
use xtask::model::plan::Plan;
use xtask::process::interrupt::Interrupt;
use xtask::process::ledger::Ledger;
use xtask::script::{
    Action, Container, Mechanism, Objects, Place, Role, RunOptions, Script, Setting, Sharing,
    Stage, Step, Sysctl,
};

use crate::ledgers;
use crate::machine::{Engine, random_key};

const NAMES: [Container; 3] = [Container("a"), Container("b"), Container("c")];

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let name = "random_scripts_behave_as_the_model_predicts";
    let chains = "a_joiner_of_a_joiner_behaves_as_the_model_predicts";
    // Podman does not remove a container that others have joined.
    let with_chains = engines.iter().filter(|it| it.name != "podman");
    let random = engines.iter().map(|engine| engine.trial(name, agree));
    random.chain(with_chains.map(|engine| engine.trial(chains, agree_on_chains))).collect()
}

/// Runs the fixed scripts with chains of joiners.
fn agree_on_chains(engine: &Engine) -> Result<(), Failed> {
    let (session, interrupt) = open_session(engine)?;
    for script in [JOINS_AFTER_REMOVAL, JOINS_AFTER_STOP] {
        let drawn: Vec<_> =
            script.iter().map(|(name, step)| (Place::In(*name), step.action())).collect();
        execute_script(&session, &interrupt, &drawn)
            .map_err(|error| format!("{error}\nin:\n{:?}", Drawn(drawn)))?;
    }
    Ok(())
}

const A: Container = NAMES[0];
const B: Container = NAMES[1];
const C: Container = NAMES[2];

/// A step of a fixed script, in a form that a constant can hold.
enum Written {
    Run(Sharing),
    Start,
    Stop,
    Remove,
    Write(&'static str),
    Read,
}

impl Written {
    fn action(&self) -> Action {
        match self {
            Self::Run(sharing) => Action::Run(RunOptions { sharing: *sharing, setting: None }),
            Self::Start => Action::Start,
            Self::Stop => Action::Stop,
            Self::Remove => Action::Remove,
            Self::Write(text) => Action::Write(Mechanism::Posix, (*text).to_owned()),
            Self::Read => Action::Read(Mechanism::Posix),
        }
    }
}

const JOINS_AFTER_REMOVAL: &[(Container, Written)] = &[
    (B, Written::Run(Sharing::Shareable)),
    (C, Written::Run(Sharing::Container(B))),
    (B, Written::Remove),
    (A, Written::Run(Sharing::Container(C))),
    (A, Written::Read),
];

const JOINS_AFTER_STOP: &[(Container, Written)] = &[
    (B, Written::Run(Sharing::Shareable)),
    (C, Written::Run(Sharing::Container(B))),
    (C, Written::Write("one")),
    (B, Written::Stop),
    (A, Written::Run(Sharing::Container(C))),
    (A, Written::Read),
    (A, Written::Write("two")),
    (C, Written::Read),
    (B, Written::Start),
    (B, Written::Read),
    (B, Written::Write("three")),
    (A, Written::Read),
    (C, Written::Read),
    (B, Written::Stop),
    (A, Written::Read),
    (B, Written::Remove),
    (A, Written::Read),
    (A, Written::Write("four")),
    (C, Written::Read),
];

/// Opens a session, which all runs on one engine share.
fn open_session(engine: &Engine) -> Result<(Session, Interrupt), Failed> {
    let kind = match engine.name {
        "docker" => EngineKind::Docker,
        "podman" => EngineKind::Podman,
        _ => EngineKind::Namespaces,
    };
    let interrupt = Interrupt::default();
    let ledger = Ledger::in_folder(ledgers::state().join("shm_experiment"));
    let wanted = Query {
        kind: Some(kind),
        runtime: None,
        cluster: &Cluster::default(),
        base: SCRATCH,
        ledger: &ledger,
        interrupt: &interrupt,
    };
    let dist = Dist::current(&interrupt)?;
    let session = Session::open(discover::find(&wanted)?, &dist, SCRATCH, &ledger, &interrupt)?;
    Ok((session, interrupt))
}

fn agree(engine: &Engine) -> Result<(), Failed> {
    let effort = Effort::current();
    let scripts = if engine.has_containers() {
        effort.random_scripts_on_engines
    } else {
        effort.random_scripts
    };
    let (session, interrupt) = open_session(engine)?;
    let config = Config {
        cases: scripts,
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let result = TestRunner::new(config)
        .run(&script(session.info.name), |drawn| execute_script(&session, &interrupt, &drawn.0));
    match result {
        Ok(()) => {
            count(
                &format!("random scripts on {}", engine.name),
                &[(usize::try_from(scripts)?, "scripts")],
            );
            Ok(())
        }
        Err(TestError::Fail(reason, drawn)) => Err(format!("{reason}\nin:\n{drawn:?}").into()),
        Err(error) => Err(error.to_string().into()),
    }
}

/// Steps, printed one per line.
#[derive(Clone)]
struct Drawn(Vec<(Place, Action)>);

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(place, action)| writeln!(f, "  {place}: {action:?}"))
    }
}

fn script(kind: EngineKind) -> impl Strategy<Value = Drawn> {
    let starts = NAMES.map(|name| run_action(kind, name).prop_map(move |it| (Place::In(name), it)));
    let more = prop::collection::vec(step(kind), 1..14);
    (starts, more).prop_map(|(starts, more)| Drawn(starts.into_iter().chain(more).collect()))
}

fn run_action(kind: EngineKind, name: Container) -> impl Strategy<Value = Action> {
    let others: Vec<_> = NAMES.into_iter().filter(|other| *other != name).collect();
    let sharing = prop_oneof![
        2 => Just(Sharing::Private),
        3 => Just(Sharing::Shareable),
        5 => select(others).prop_map(Sharing::Container),
        1 => Just(Sharing::Host),
        1 => Just(Sharing::None),
        1 => Just(Sharing::HostShm),
    ];
    let sysctl = prop_oneof![
        Just((Sysctl::Shmmax, 4096)),
        Just((Sysctl::Shmall, 1)),
        Just((Sysctl::Shmmni, 0)),
        Just((Sysctl::ShmRmidForced, 1)),
        Just((Sysctl::ShmRmidForced, 0)),
    ];
    let setting = prop_oneof![
        6 => Just(None),
        2 => sysctl.prop_map(|(sysctl, value)| Some(Setting::Sysctl(sysctl, value))),
        1 => Just(Some(Setting::ShmSize(4096))),
    ];
    (sharing, setting).prop_map(move |(sharing, setting)| {
        // Engines let a joiner change the host's limits if its donor shares the host's namespace.
        let harmless = kind == EngineKind::Namespaces || sharing.donor().is_none();
        let setting = setting.filter(|it| harmless || !matches!(it, Setting::Sysctl(..)));
        Action::Run(RunOptions { sharing, setting })
    })
}

fn step(kind: EngineKind) -> impl Strategy<Value = (Place, Action)> {
    // Without Restart: on Podman it may keep /dev/shm, a known difference.
    let changes = if kind == EngineKind::Podman {
        vec![Action::Start, Action::Stop, Action::Pause, Action::Unpause, Action::Remove]
    } else {
        let more = [Action::Pause, Action::Unpause, Action::Remove];
        [vec![Action::Start, Action::Stop, Action::Kill, Action::Restart], more.to_vec()].concat()
    };
    let mechanisms = || select(Mechanism::ALL.to_vec());
    let tool = move || {
        prop_oneof![
            4 => (mechanisms(), "[a-z]{1,8}").prop_map(|(it, text)| Action::Write(it, text)),
            5 => mechanisms().prop_map(Action::Read),
            2 => Just(Action::List),
        ]
    };
    select(NAMES.to_vec()).prop_flat_map(move |name| {
        let place = Place::In(name);
        prop_oneof![
            4 => select(changes.clone()).prop_map(move |action| (place, action)),
            1 => run_action(kind, name).prop_map(move |action| (place, action)),
            6 => tool().prop_map(move |action| (place, action)),
            1 => tool().prop_map(|action| (Place::Host, action)),
        ]
    })
}

fn execute_script(
    session: &Session,
    interrupt: &Interrupt,
    drawn: &[(Place, Action)],
) -> Result<(), TestCaseError> {
    let fail = |error: &dyn fmt::Display| TestCaseError::fail(error.to_string());
    let key = Key::new(random_key()).ok_or_else(|| TestCaseError::reject("no key"))?;
    // This trial may be the first one that needs the image.
    let build = (Place::Host, Action::Build);
    let stages = std::iter::once(&build).chain(drawn).enumerate();
    let stages = stages.map(|(number, (place, action))| {
        let (place, action) = (*place, action.clone());
        Stage(vec![Step {
            id: number.to_string(),
            section: "random",
            place,
            action,
            role: Role::Observe,
        }])
    });
    let objects = Objects { size: 64 << 10, ..Objects::from(key) };
    let name = "random".to_owned();
    let script = Script { name, objects, stages: stages.collect(), conclusions: vec![] };
    let plan = Plan::new(script, session.info.rules()).map_err(|error| fail(&error))?;
    let volume = tempfile::tempdir().map_err(|error| fail(&error))?;
    let engine = session.engine(objects, Some(volume.path().to_owned()));
    let mut steps = Vec::new();
    let finished = run::run(&plan, &*engine, interrupt, &mut steps, &mut |_| {});
    let cleaned = engine.clean_up();
    clean_host(objects);
    finished.map_err(|error| fail(&error))?;
    cleaned.map_err(|error| fail(&error))?;
    for result in &steps {
        if let Verdict::Fail(difference) = &result.verdict {
            return Err(fail(&format!("{}: {difference}", describe(&result.planned))));
        }
    }
    Ok(())
}

/// Removes the script's objects from the host. Its key is random, so nothing else has these names.
fn clean_host(objects: Objects) {
    let key = objects.key;
    let name: Name = objects.name().parse().expect("a name made from a key is valid");
    let targets = [
        Target::Memory(Address::from(key)),
        Target::IpcObject(IpcObject::Semaphores(key)),
        Target::IpcObject(IpcObject::Queue(key)),
        Target::IpcObject(IpcObject::Mqueue(key)),
        Target::Memory(Address::from(name)),
    ];
    for target in targets {
        // Most of them do not exist.
        let _ = target.remove();
    }
}
