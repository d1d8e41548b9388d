//! The kernel's information about a segment.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sys::{SHM_DEST, SHM_LOCKED};

/// The number of a segment in its namespace, a shmid. The kernel reuses these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentId(pub i32);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The `struct shmid_ds` of a segment, or its line in `/proc/sysvipc/shm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// The key, as `key_t`; 0 for a private segment and for one that is marked for destruction.
    #[serde(with = "hexadecimal")]
    pub key: i32,
    /// The shmid.
    pub shmid: SegmentId,
    /// The owner's user id, as this process's user namespace maps it.
    pub uid: u32,
    /// The owner's group id.
    pub gid: u32,
    /// The creator's user id.
    pub cuid: u32,
    /// The creator's group id.
    pub cgid: u32,
    /// The nine permission bits.
    #[serde(with = "octal")]
    pub mode: u32,
    /// Whether it is marked for destruction at its last detach.
    pub dest: bool,
    /// Whether it is locked: its pages are not swapped out.
    pub locked: bool,
    /// The size in bytes.
    pub size: u64,
    /// The current number of attachments.
    pub nattch: u64,
    /// The creator's process id; 0 if it is in another pid namespace.
    pub cpid: u32,
    /// The process id of the last attach or detach; 0 for none or for another pid namespace.
    pub lpid: u32,
    /// The time of the last attach, in seconds since the epoch; 0 for never.
    pub atime: i64,
    /// The time of the last detach, in seconds since the epoch; 0 for never.
    pub dtime: i64,
    /// The time of the creation or of the last change, in seconds since the epoch.
    pub ctime: i64,
}

/// A mode as text: its octal digits.
pub(crate) mod octal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{mode:04o}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<u32, D::Error> {
        u32::from_str_radix(&String::deserialize(text)?, 8).map_err(de::Error::custom)
    }
}

/// A key as text, such as `0x0134b3d5`.
pub(crate) mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(key: &i32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{key:08x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<i32, D::Error> {
        let text = String::deserialize(text)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| de::Error::custom("no 0x"))?;
        u32::from_str_radix(digits, 16).map(u32::cast_signed).map_err(de::Error::custom)
    }
}

impl Stat {
    /// Sets `mode`, `dest` and `locked` from the kernel's mode word.
    pub(crate) fn set_mode(&mut self, word: u32) {
        self.mode = word & 0o777;
        self.dest = word & SHM_DEST != 0;
        self.locked = word & SHM_LOCKED != 0;
    }

    pub(crate) fn from_kernel(shmid: i32, ds: &libc::shmid_ds) -> Self {
        #[cfg(target_env = "musl")]
        let key = ds.shm_perm.__ipc_perm_key;
        #[cfg(not(target_env = "musl"))]
        let key = ds.shm_perm.__key;
        let mut stat = Self {
            key,
            shmid: SegmentId(shmid),
            uid: ds.shm_perm.uid,
            gid: ds.shm_perm.gid,
            cuid: ds.shm_perm.cuid,
            cgid: ds.shm_perm.cgid,
            mode: 0,
            dest: false,
            locked: false,
            size: ds.shm_segsz as u64,
            nattch: ds.shm_nattch,
            cpid: ds.shm_cpid.cast_unsigned(),
            lpid: ds.shm_lpid.cast_unsigned(),
            atime: ds.shm_atime,
            dtime: ds.shm_dtime,
            ctime: ds.shm_ctime,
        };
        #[allow(clippy::useless_conversion, reason = "u16 on some targets, u32 on others")]
        stat.set_mode(u32::from(ds.shm_perm.mode));
        stat
    }
}
