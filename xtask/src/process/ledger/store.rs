//! Reads and writes the files of ledgers.

use std::env;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::process::interrupt::Interrupt;
use crate::process::labels::RunId;
use crate::process::ledger::Entry;
use crate::process::poll::poll_until;
use crate::process::proc_stat::ProcStat;
use crate::process::untrusted::Untrusted;

/// The version of the file format, in the first line.
const VERSION: u32 = 1;
/// The maximum size of a ledger. A matrix on three engines writes one megabyte.
const MAX_BYTES: u64 = 64 << 20;
/// How long a lock may outlive its process, and how often to check it.
const LOCK_SETTLES: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The suffix of the file names.
const SUFFIX: &str = ".jsonl";

/// Why a ledger cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// No environment variable names a folder.
    #[error("there is no folder for ledgers\nnext step: set HOME or XDG_STATE_HOME")]
    NoHome,
    /// The folder or file is a symbolic link, belongs to another user, or is writable for others.
    #[error(
        "the ledger or its folder, {}, {why}, so it is not used\nnext step: change its owner or \
         mode (chown, chmod go-w), or set XDG_STATE_HOME to a private folder",
        Untrusted::path(path)
    )]
    NotPrivate {
        /// The folder or file.
        path: PathBuf,
        /// Why others can write it.
        why: String,
    },
    /// A system call failed.
    #[error(
        "the ledger or its folder, {}, cannot be used: {source}\nnext step: {} there, or set \
         XDG_STATE_HOME to another folder",
        Untrusted::path(path),
        remedy(source)
    )]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is not a ledger of this version.
    #[error(
        "this version cannot read the ledger {}: {why}\nnext step: look at the file, and remove it if you do not need it",
        Untrusted::path(path)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Returns what can make a failed access to a folder succeed.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "allow access",
        _ => "check the folder",
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    pid: u32,
    /// The place of the run. A ledger written by hand may omit it.
    #[serde(default = "HostId::current")]
    place: HostId,
}

impl Header {
    fn current() -> Self {
        Self { version: VERSION, pid: std::process::id(), place: HostId::current() }
    }

    /// Parses the header of a ledger, which is its first line.
    fn first(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default())
    }
}

/// The machine and the namespaces that processes, folders and shared memory belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HostId {
    /// The id of the machine, see `machine-id(5)`.
    machine: String,
    pid_namespace: u64,
    ipc_namespace: u64,
}

impl HostId {
    fn current() -> Self {
        let namespace =
            |name| fs::metadata(format!("/proc/self/ns/{name}")).map_or(0, |it| it.ino());
        let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        Self {
            machine: machine.trim().to_owned(),
            pid_namespace: namespace("pid"),
            ipc_namespace: namespace("ipc"),
        }
    }
}

/// Returns the folder of all ledgers of this user: `$XDG_STATE_HOME/shm_experiment`, else
/// `/var/lib/shm_experiment` for root and `~/.local/state/shm_experiment` for other users.
pub(super) fn folder() -> Result<PathBuf, LedgerError> {
    // The XDG Base Directory Specification requires that relative paths are ignored.
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = match variable("XDG_STATE_HOME") {
        Some(state) => state,
        None if geteuid().is_root() => PathBuf::from("/var/lib"),
        None => variable("HOME").ok_or(LedgerError::NoHome)?.join(".local/state"),
    };
    Ok(state.join("shm_experiment"))
}

/// Creates a ledger in a folder and locks it.
pub(super) fn create(folder: &Path) -> Result<(PathBuf, File), LedgerError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| LedgerError::Io { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
    ensure_private(folder, &fs::symlink_metadata(folder).map_err(io(folder))?)?;
    loop {
        let path = folder.join(format!("{}{SUFFIX}", RunId::random()));
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        let mut file = options.open(&path).map_err(io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            // A clean has locked it and will remove it.
            Err(Errno::WOULDBLOCK) => continue,
            Err(errno) => return Err(io(&path)(errno.into())),
        }
        // A clean may have removed it before this process locked it.
        if file.metadata().map_err(io(&path))?.nlink() > 0 {
            append(&path, &mut file, &Header::current())?;
            return Ok((path, file));
        }
    }
}

/// Appends a line. The caller makes the resource only after the whole line is written.
pub(super) fn append(
    path: &Path,
    file: &mut File,
    line: &impl Serialize,
) -> Result<(), LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let mut bytes = serde_json::to_vec(line).map_err(|error| io(error.into()))?;
    bytes.push(b'\n');
    let before = file.metadata().map_err(io)?.len();
    file.write_all(&bytes).map_err(|source| {
        // A partial line would corrupt the next one.
        let _ = file.set_len(before);
        io(source)
    })
}

/// Replaces the ledger at `path` by one with these entries.
pub(super) fn rewrite(path: &Path, entries: &[Entry]) -> Result<(), LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(path);
    let new = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    let mut file = new.reopen().map_err(io)?;
    append(path, &mut file, &Header::current())?;
    for entry in entries {
        append(path, &mut file, entry)?;
    }
    new.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// A ledger that was found.
#[derive(Debug)]
pub(crate) enum StoredLedger {
    /// Its run is active, or another clean has locked it.
    InUse(Vec<Entry>),
    /// Its run has ended.
    Past(Past),
    /// It cannot be read.
    Unreadable(LedgerError),
}

/// The locked ledger of a run that has ended.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<Entry>,
    place: HostId,
    /// Holds the lock.
    file: File,
}

impl Past {
    /// Returns the time since its last change.
    pub(crate) fn age(&self) -> Duration {
        let written = self.file.metadata().and_then(|it| it.modified());
        written.ok().and_then(|it| it.elapsed().ok()).unwrap_or_default()
    }

    /// Returns whether its entries can be checked from here. Only processes, folders and shared
    /// memory need the same machine, pid namespace and IPC namespace.
    pub(crate) fn is_local(&self) -> bool {
        let needs_place = |it: &Entry| {
            matches!(it, Entry::Process { .. } | Entry::Folder { .. } | Entry::Memory(_))
        };
        self.place == HostId::current() || !self.entries.iter().any(needs_place)
    }

    /// Returns the message for a ledger of another place, which is not touched.
    pub(crate) fn not_local(&self) -> String {
        let path = Untrusted::path(&self.path);
        let machine = Untrusted::line(&self.place.machine);
        format!(
            "the ledger {path} belongs to machine {machine}, pid namespace {} and IPC namespace \
             {}, which differ from the current ones\nnext step: run cargo xtask clean there; if \
             the machine was restarted, remove the file: processes and shared memory are gone",
            self.place.pid_namespace, self.place.ipc_namespace
        )
    }

    /// Keeps only these entries. Removes the file if there are none.
    pub(crate) fn keep(self, entries: &[Entry]) -> Result<(), LedgerError> {
        if entries.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(LedgerError::Io { path: self.path, source })
                }
                _ => Ok(()),
            };
        }
        if entries == self.entries { Ok(()) } else { rewrite(&self.path, entries) }
    }
}

/// Returns all ledgers of this user. Fails if others can write to the folder.
pub(crate) fn all() -> Result<Vec<StoredLedger>, LedgerError> {
    let folder = folder()?;
    let io = |source| LedgerError::Io { path: folder.clone(), source };
    match fs::symlink_metadata(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        metadata => ensure_private(&folder, &metadata.map_err(io)?)?,
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            found.extend(read(&path).unwrap_or_else(|error| Some(StoredLedger::Unreadable(error))));
        }
    }
    Ok(found)
}

/// Reads one ledger. Returns `None` if it no longer exists.
fn read(path: &Path) -> Result<Option<StoredLedger>, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io)?,
    };
    let metadata = file.metadata().map_err(io)?;
    let unreadable = |why: String| LedgerError::Unreadable { path: path.to_owned(), why };
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file".to_owned()));
    }
    ensure_private(path, &metadata)?;
    let settled = Instant::now() + LOCK_SETTLES;
    let is_past = poll_until(POLL_INTERVAL, settled, &Interrupt::default(), || {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(true)),
            // A child between fork and exec holds the lock a little longer than its parent.
            Err(Errno::WOULDBLOCK) if is_orphan(&file) => Ok(None),
            Err(Errno::WOULDBLOCK) => Ok(Some(false)),
            Err(errno) => Err(io(errno.into())),
        }
    })?
    .unwrap_or(false);
    // The run may have removed or replaced the file before it released the lock.
    if is_past && fs::symlink_metadata(path).map_or(0, |it| it.ino()) != metadata.ino() {
        return Ok(None);
    }
    if metadata.len() > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let mut bytes = Vec::new();
    (&file).take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    let entries = parse(&bytes).map_err(unreadable)?;
    let place = Header::first(&bytes).map_or_else(|_| HostId::current(), |it| it.place);
    Ok(Some(if is_past {
        StoredLedger::Past(Past { path: path.to_owned(), entries, place, file })
    } else {
        StoredLedger::InUse(entries)
    }))
}

/// Returns whether the process that wrote a ledger has ended.
fn is_orphan(file: &File) -> bool {
    let mut start = [0; 512];
    let length = file.read_at(&mut start, 0).unwrap_or(0);
    let writer = Header::first(&start[..length]).ok().and_then(|it| ProcStat::of(it.pid));
    writer.is_none_or(|stat| !stat.runs)
}

/// Parses the entries of a ledger. Ignores an incomplete last line, whose resource was not made.
///
/// # Errors
///
/// Fails with the reason why it is not a ledger of this version.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let Some(header) = lines.next() else { return Ok(vec![]) };
    let header: Header = serde_json::from_slice(header).map_err(|error| error.to_string())?;
    if header.version != VERSION {
        return Err(format!("it has version {}, not {VERSION}", header.version));
    }
    lines.map(|line| serde_json::from_slice(line).map_err(|error| error.to_string())).collect()
}

/// Fails if another user can write to the file or folder.
fn ensure_private(path: &Path, metadata: &Metadata) -> Result<(), LedgerError> {
    let (owner, mode) = (metadata.uid(), metadata.mode());
    let why = if metadata.is_symlink() {
        "is a symbolic link".to_owned()
    } else if owner != geteuid().as_raw() {
        format!("belongs to user {owner}")
    } else if mode & 0o022 != 0 {
        format!("is writable for others (mode {:04o})", mode & 0o7777)
    } else {
        return Ok(());
    };
    Err(LedgerError::NotPrivate { path: path.to_owned(), why })
}
