//! The model: an engine without processes, only maps and the kernel's rules.
//!
//! - A System V segment lives in an IPC namespace and is found there by its key.
//! - A container gets a namespace of its own when it starts; its processes come and go.
//! - A namespace, with all that is in it, goes with its last process: when the container stops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use shm_core::table::{Row, Table};
use shm_core::{Key, text};

use super::{Answer, Engine, EngineError, EngineInfo, EngineKind};
use crate::observation::{Identity, Observation, State, no_such_segment};
use crate::script::{Action, Container, Place, Step};

/// The size and the permission bits that `shm_wr` asks for.
const SIZE: u64 = 1024;
const MODE: u32 = 0o666;

/// The number of the host's namespace.
pub const HOST: usize = 0;

/// The model of one run.
#[derive(Debug)]
pub struct Model {
    info: EngineInfo,
    key: Key,
    world: Mutex<World>,
}

#[derive(Debug)]
struct World {
    /// By number; `None` once a namespace is gone.
    namespaces: Vec<Option<Namespace>>,
    /// The namespaces of those that run.
    running: BTreeMap<Container, usize>,
}

#[derive(Debug, Default)]
struct Namespace {
    segments: BTreeMap<Key, Segment>,
}

#[derive(Debug)]
struct Segment {
    shmid: i32,
    text: Vec<u8>,
}

impl Model {
    /// A host without containers, on which nobody uses `key`.
    #[must_use]
    pub fn new(key: Key) -> Self {
        let info = EngineInfo {
            name: EngineKind::Model,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: "the model's".to_owned(),
            chosen: "asked for".to_owned(),
        };
        let world =
            World { namespaces: vec![Some(Namespace::default())], running: BTreeMap::new() };
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
                let number = self.start(container);
                let namespace = Some(Identity::Model(number));
                Ok(Observation { state: Some(State::Running), namespace, ..done })
            }
            (Action::Stop, Place::In(container)) => {
                self.stop(container);
                Ok(Observation { state: Some(State::Exited), ..done })
            }
            (Action::Write(text), place) => {
                let number = self.number(step, place)?;
                let stdout = self.write(number, key, text);
                Ok(Observation { stdout, namespace: Some(Identity::Model(number)), ..done })
            }
            (Action::Read, place) => {
                let number = self.number(step, place)?;
                let namespace = Some(Identity::Model(number));
                Ok(Observation { namespace, ..self.read(number, key) })
            }
            (Action::List, place) => {
                let number = self.number(step, place)?;
                let stdout = self.list(number);
                Ok(Observation { stdout, namespace: Some(Identity::Model(number)), ..done })
            }
            (Action::Start | Action::Stop, Place::Host) => {
                Err(EngineError::Script(format!("{}: the host is not a container", step.id)))
            }
        }
    }

    /// Starting what runs already changes nothing.
    fn start(&mut self, container: Container) -> usize {
        *self.running.entry(container).or_insert_with(|| {
            self.namespaces.push(Some(Namespace::default()));
            self.namespaces.len() - 1
        })
    }

    fn stop(&mut self, container: Container) {
        if let Some(number) = self.running.remove(&container) {
            self.namespaces[number] = None;
        }
    }

    fn number(&self, step: &Step, place: Place) -> Result<usize, EngineError> {
        match place {
            Place::Host => Ok(HOST),
            Place::In(container) => self.running.get(&container).copied().ok_or_else(|| {
                EngineError::Script(format!("{}: container {container} does not run", step.id))
            }),
        }
    }

    fn segments(&mut self, number: usize) -> &mut BTreeMap<Key, Segment> {
        &mut self.namespaces[number].get_or_insert_default().segments
    }

    fn write(&mut self, number: usize, key: Key, text: &str) -> Vec<u8> {
        let segments = self.segments(number);
        // The first free index; nothing is ever removed here, so the sequence number stays 0.
        let shmid = i32::try_from(segments.len()).unwrap_or(i32::MAX);
        let segment = segments.entry(key).or_insert(Segment { shmid, text: Vec::new() });
        text.as_bytes().clone_into(&mut segment.text);
        b"shm write success\n".to_vec()
    }

    fn read(&mut self, number: usize, key: Key) -> Observation {
        match self.segments(number).get(&key) {
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

    fn list(&mut self, number: usize) -> Vec<u8> {
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
        Table(self.segments(number).iter().map(row).collect()).to_string().into_bytes()
    }
}
