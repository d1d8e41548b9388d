//! The model: an engine without processes, only maps and the kernel's rules.
//!
//! - A System V segment lives in an IPC namespace and is found there by its key.
//! - A container gets a namespace of its own when it starts; its processes come and go.
//! - A namespace, with all that is in it, goes with its last process: when the container stops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use shm_core::table::{Row, Table};
use shm_core::{Key, text};

use super::{Answer, Engine, EngineError, EngineInfo};
use crate::observation::{Identity, Made, Observation, State, no_such_segment};
use crate::script::{Action, Container, Place, Step};

/// The size and the permission bits that `shm_wr` asks for.
const SIZE: u64 = 1024;
const MODE: u32 = 0o666;

/// The model of one run.
#[derive(Debug)]
pub struct Model {
    info: EngineInfo,
    key: Key,
    world: Mutex<World>,
}

#[derive(Debug)]
struct World {
    /// What each namespace holds, for as long as it is there.
    namespaces: BTreeMap<Made, Segments>,
    /// The namespaces of the containers that run.
    running: BTreeMap<Container, Made>,
    /// How often each container was started.
    starts: BTreeMap<Container, usize>,
}

type Segments = BTreeMap<Key, Segment>;

#[derive(Debug)]
struct Segment {
    shmid: i32,
    text: Vec<u8>,
}

impl Model {
    /// A host without containers, on which nobody uses `key`.
    #[must_use]
    pub fn new(info: EngineInfo, key: Key) -> Self {
        let namespaces = BTreeMap::from([(Made::HOST, Segments::new())]);
        let world = World { namespaces, running: BTreeMap::new(), starts: BTreeMap::new() };
        Self { info, key, world: Mutex::new(world) }
    }
}

impl Engine for Model {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn carry_out(&self, step: &Step) -> Result<Answer, EngineError> {
        // A panic elsewhere leaves the maps as they were after the last whole step.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.carry_out(self.key, step).map(Answer::Observed)
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        Ok(0)
    }
}

impl World {
    fn carry_out(&mut self, key: Key, step: &Step) -> Result<Observation, EngineError> {
        let done = Observation { exit_code: Some(0), ..Observation::default() };
        match (&step.action, step.place) {
            (Action::Build, _) => Ok(done),
            (Action::Processes, _) => {
                let running: BTreeSet<_> = self.running.keys().copied().collect();
                Ok(Observation { running: Some(running), ..done })
            }
            (Action::Start, Place::In(container)) => {
                let made = self.start(container);
                let namespace = Some(Identity::Model(made));
                Ok(Observation { state: Some(State::Running), namespace, ..done })
            }
            (Action::Stop, Place::In(container)) => {
                self.stop(container);
                Ok(Observation { state: Some(State::Exited), ..done })
            }
            (Action::Write(text), place) => {
                let made = self.namespace_of(step, place)?;
                let stdout = self.write(made, key, text);
                Ok(Observation { stdout, namespace: Some(Identity::Model(made)), ..done })
            }
            (Action::Read, place) => {
                let made = self.namespace_of(step, place)?;
                let namespace = Some(Identity::Model(made));
                Ok(Observation { namespace, ..self.read(made, key) })
            }
            (Action::List, place) => {
                let made = self.namespace_of(step, place)?;
                let stdout = self.list(made);
                Ok(Observation { stdout, namespace: Some(Identity::Model(made)), ..done })
            }
            (Action::Start | Action::Stop, Place::Host) => {
                Err(EngineError::Script(format!("{}: the host is not a container", step.id)))
            }
        }
    }

    fn start(&mut self, container: Container) -> Made {
        // Starting what runs already changes nothing.
        if let Some(made) = self.running.get(&container) {
            return *made;
        }
        let starts = self.starts.entry(container).or_default();
        *starts += 1;
        let made = Made { place: Place::In(container), start: *starts };
        self.namespaces.insert(made, Segments::new());
        self.running.insert(container, made);
        made
    }

    fn stop(&mut self, container: Container) {
        if let Some(made) = self.running.remove(&container) {
            self.namespaces.remove(&made);
        }
    }

    fn namespace_of(&self, step: &Step, place: Place) -> Result<Made, EngineError> {
        match place {
            Place::Host => Ok(Made::HOST),
            Place::In(container) => self.running.get(&container).copied().ok_or_else(|| {
                EngineError::Script(format!("{}: container {container} does not run", step.id))
            }),
        }
    }

    fn segments(&mut self, made: Made) -> &mut Segments {
        self.namespaces.entry(made).or_default()
    }

    fn write(&mut self, made: Made, key: Key, text: &str) -> Vec<u8> {
        let segments = self.segments(made);
        // The first free index; nothing is ever removed here, so the sequence number stays 0.
        let shmid = i32::try_from(segments.len()).unwrap_or(i32::MAX);
        let segment = segments.entry(key).or_insert(Segment { shmid, text: Vec::new() });
        text.as_bytes().clone_into(&mut segment.text);
        b"shm write success\n".to_vec()
    }

    fn read(&mut self, made: Made, key: Key) -> Observation {
        match self.segments(made).get(&key) {
            Some(segment) => Observation {
                stdout: [text::spaced(&segment.text), b"\nshm read success\n".to_vec()].concat(),
                exit_code: Some(0),
                ..Observation::default()
            },
            None => Observation {
                stdout: b"shm read failed\n".to_vec(),
                stderr: format!("{}\n", no_such_segment()).into_bytes(),
                exit_code: Some(255),
                ..Observation::default()
            },
        }
    }

    fn list(&mut self, made: Made) -> Vec<u8> {
        let row = |(key, segment): (&Key, &Segment)| Row {
            key: key.raw(),
            shmid: segment.shmid,
            owner: "root".to_owned(),
            perms: MODE,
            bytes: SIZE,
            nattch: 0,
            dest: false,
            locked: false,
        };
        Table(self.segments(made).iter().map(row).collect()).to_string().into_bytes()
    }
}
