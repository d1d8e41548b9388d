//! Owners and modes of System V objects, as `/proc/sysvipc` shows them to every user.

use shm_core::stat::SegmentId;
use shm_core::table::{queues, semaphores};
use shm_core::{IpcObject, Key, Stat, table};

use crate::access::Permissions;

/// What a look for an object has found.
pub(super) enum Found {
    /// The object, with a name for messages.
    Object(String, Permissions),
    /// There is no such object; the words say so.
    Absent(String),
    /// The table cannot be read.
    Hidden(String),
}

impl Found {
    pub(super) fn segment_of_key(key: Option<Key>) -> Self {
        match key {
            None => Self::Absent("the segment does not exist yet".to_owned()),
            Some(key) => {
                let absent = format!("no segment has key {key}");
                Self::segment(|stat| stat.key == key.raw() && !stat.dest, absent)
            }
        }
    }

    pub(super) fn segment_of_id(id: SegmentId) -> Self {
        Self::segment(|stat| stat.shmid == id, format!("there is no segment {id}"))
    }

    fn segment(is_wanted: impl Fn(&Stat) -> bool, absent: String) -> Self {
        let Ok(stats) = table::list() else {
            return Self::Hidden("the list of the segments cannot be read".to_owned());
        };
        stats.iter().find(|stat| is_wanted(stat)).map_or(Self::Absent(absent), |stat| {
            let name = format!("segment {} of {} bytes", stat.shmid, stat.size);
            Self::Object(name, stat.into())
        })
    }

    /// Looks for a set of semaphores or a System V message queue. `name` names it.
    pub(super) fn object(ipc_object: IpcObject, name: &str) -> Self {
        let key = ipc_object.key().raw();
        let found = match ipc_object {
            IpcObject::Semaphores(_) => semaphores::list()
                .map(|sets| sets.iter().find(|it| it.key == key).map(Permissions::from)),
            IpcObject::Queue(_) | IpcObject::Mqueue(_) => queues::list()
                .map(|queues| queues.iter().find(|it| it.key == key).map(Permissions::from)),
        };
        match found {
            Ok(Some(permissions)) => Self::Object(format!("the {name}"), permissions),
            Ok(None) => Self::Absent(format!("there is no {name}")),
            Err(error) => Self::Hidden(format!("the list of such objects cannot be read: {error}")),
        }
    }
}
