//! The shared objects of the model, their places and their limits.

use std::collections::{BTreeMap, BTreeSet};

use shm_core::table::{Row, Table};
use shm_core::{Errno, Key};

use crate::engine::observation::ModelNamespace;
use crate::model::View;
use crate::script::{Mechanism, Sysctl};

/// The permission bits that `shm_wr` asks for.
const MODE: u32 = 0o666;
const PAGE: u64 = 4096;

/// The content and the limits of IPC namespaces and tmpfs mounts.
#[derive(Debug)]
pub(super) struct ModelObjects {
    /// The size that every writer requests, in bytes.
    size: u64,
    texts: BTreeMap<(Mechanism, ModelNamespace), String>,
    /// The limits that differ from the kernel's defaults.
    limits: BTreeMap<(ModelNamespace, Sysctl), u64>,
    shm_sizes: BTreeMap<ModelNamespace, u64>,
}

/// The call that failed in a writer, and its errno.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) call: &'static str,
    pub(super) errno: Errno,
}

impl View {
    /// Returns the namespace or mount of a mechanism's objects, or `None` without a mount.
    pub(super) fn space(self, mechanism: Mechanism) -> Option<ModelNamespace> {
        match mechanism {
            Mechanism::Sysv | Mechanism::Sem | Mechanism::Msg | Mechanism::Mqueue => Some(self.ipc),
            Mechanism::Posix => self.shm,
            // All places mount the same volume.
            Mechanism::File => Some(ModelNamespace::HOST),
        }
    }
}

impl ModelObjects {
    pub(super) fn new(size: u64) -> Self {
        let (texts, limits, shm_sizes) = Default::default();
        Self { size, texts, limits, shm_sizes }
    }

    /// Drops the state of all namespaces and mounts that are not in `used`.
    pub(super) fn keep(&mut self, used: &BTreeSet<ModelNamespace>) {
        self.texts.retain(|(_, made), _| used.contains(made));
        self.limits.retain(|(made, _), _| used.contains(made));
        self.shm_sizes.retain(|made, _| used.contains(made));
    }

    pub(super) fn limit(&mut self, ipc: ModelNamespace, sysctl: Sysctl, value: u64) {
        self.limits.insert((ipc, sysctl), value);
        if self.is_rmid_forced(ipc) {
            // The kernel also destroys existing segments without an attachment.
            self.texts.remove(&(Mechanism::Sysv, ipc));
        }
    }

    pub(super) fn size_shm(&mut self, shm: ModelNamespace, size: u64) {
        self.shm_sizes.insert(shm, size);
    }

    pub(super) fn write(
        &mut self,
        mechanism: Mechanism,
        space: Option<ModelNamespace>,
        text: &str,
    ) -> Result<(), Refusal> {
        let call = mechanism.call();
        let made = space.ok_or(Refusal { call, errno: Errno::ENOENT })?;
        if !self.texts.contains_key(&(mechanism, made)) {
            self.check_limits(mechanism, made)?;
        }
        if mechanism == Mechanism::Sysv && self.is_rmid_forced(made) {
            // The kernel destroys the segment when the writer detaches it.
            return Ok(());
        }
        self.texts.insert((mechanism, made), text.to_owned());
        Ok(())
    }

    /// Writes to a new object, or fails with `EEXIST`.
    pub(super) fn create(
        &mut self,
        mechanism: Mechanism,
        space: Option<ModelNamespace>,
        text: &str,
    ) -> Result<(), Refusal> {
        if self.read(mechanism, space).is_some() {
            return Err(Refusal { call: mechanism.call(), errno: Errno::EEXIST });
        }
        self.write(mechanism, space, text)
    }

    /// Fails if a limit forbids a new object.
    fn check_limits(&self, mechanism: Mechanism, made: ModelNamespace) -> Result<(), Refusal> {
        let exceeds = |limit: Option<&u64>, wanted: u64| limit.is_some_and(|it| wanted > *it);
        let over = |sysctl: Sysctl, wanted| exceeds(self.limits.get(&(made, sysctl)), wanted);
        let refusal = |call, errno| Err(Refusal { call, errno });
        match mechanism {
            Mechanism::Sysv if over(Sysctl::Shmmax, self.size) => refusal("shmget", Errno::EINVAL),
            // The namespace has no other segment.
            Mechanism::Sysv
                if over(Sysctl::Shmall, self.size.div_ceil(PAGE)) || over(Sysctl::Shmmni, 1) =>
            {
                refusal("shmget", Errno::ENOSPC)
            }
            Mechanism::Posix if exceeds(self.shm_sizes.get(&made), self.size) => {
                refusal("posix_fallocate", Errno::ENOSPC)
            }
            _ => Ok(()),
        }
    }

    fn is_rmid_forced(&self, ipc: ModelNamespace) -> bool {
        self.limits.get(&(ipc, Sysctl::ShmRmidForced)).is_some_and(|value| *value != 0)
    }

    pub(super) fn read(&self, mechanism: Mechanism, space: Option<ModelNamespace>) -> Option<&str> {
        self.texts.get(&(mechanism, space?)).map(String::as_str)
    }

    /// Returns the segments of a namespace.
    pub(super) fn list(&self, key: Key, ipc: ModelNamespace) -> Table {
        let row = |_: &str| Row {
            key: key.raw(),
            // The id of the first segment in a namespace.
            shmid: 0,
            owner: "root".to_owned(),
            perms: MODE,
            bytes: self.size,
            nattch: 0,
            dest: false,
            locked: false,
        };
        Table(self.read(Mechanism::Sysv, Some(ipc)).map(row).into_iter().collect())
    }
}
