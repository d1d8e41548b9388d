//! The destination of a report.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, fstatfs, makedev};
use rustix::io::Errno;
use rustix::process::geteuid;
use shm_core::text::escape_line;
use tempfile::{Builder, NamedTempFile};

/// `f_type` of anonymous pipes, `PIPEFS_MAGIC` of `linux/magic.h`.
const PIPEFS: u64 = 0x5049_5045;
/// The device number of `/dev/null`.
const NULL: (u32, u32) = (1, 3);

/// Checks before a run that its report can be written to `output`.
///
/// # Errors
///
/// Fails if no report can be written there.
pub fn check(output: Option<&Path>) -> Result<()> {
    let Some(path) = output else { return Ok(()) };
    // Dropping the target removes its temporary file.
    target(path).map(drop).with_context(|| place(path))
}

/// Writes a report to a file without colour, or to standard output with colour on a terminal.
///
/// An existing file is replaced when the new report is complete. It is overwritten in place if it
/// belongs to another user, has several hard links, is the target of a symbolic link, or is in a
/// folder without write permission.
///
/// # Errors
///
/// Fails if the report cannot be written. A closed pipe is not an error.
pub fn write(
    output: Option<&Path>,
    report: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let written = match output {
        Some(path) => match target(path).with_context(|| place(path))? {
            OutputTarget::Replace { file, path } => replace(file, path, report),
            OutputTarget::Overwrite(file) => overwrite(file, report),
            OutputTarget::Stdout(file) => write_plain(file, report),
        },
        None => report(&mut anstream::AutoStream::auto(io::stdout())),
    };
    match written {
        // The reader closes the pipe when it needs no more output.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        answer => answer.map_err(|error| {
            let next = if matches!(error.kind(), StorageFull | QuotaExceeded) {
                "choose a file on a file system with free space"
            } else {
                "choose another file"
            };
            let message = format!("cannot write the report\nnext step: {next}, --output FILE");
            anyhow::Error::new(error).context(message)
        }),
    }
}

fn place(path: &Path) -> String {
    format!("--output {}", escape_line(path.as_os_str().as_encoded_bytes()))
}

fn replace(
    file: NamedTempFile,
    path: &Path,
    report: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    write_plain(file.as_file().try_clone()?, report)?;
    let Err(error) = file.persist(path) else { return Ok(()) };
    // A mount point, such as a file that is mounted into a container, cannot be replaced.
    if error.error.raw_os_error() != Some(Errno::BUSY.raw_os_error()) {
        return Err(error.error);
    }
    let mut mounted = OpenOptions::new().write(true).truncate(true).open(path)?;
    io::copy(&mut error.file.reopen()?, &mut mounted).map(drop)
}

fn overwrite(file: File, report: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    write_plain(file, report)
}

fn write_plain(
    file: File,
    report: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(anstream::StripStream::new(file));
    report(&mut out)?;
    out.flush()
}

/// The destination of a report.
enum OutputTarget<'a> {
    /// A new file, which replaces the one at `path` when it is complete.
    Replace { file: NamedTempFile, path: &'a Path },
    /// A file to overwrite in place, a pipe, a terminal or `/dev/null`.
    Overwrite(File),
    /// Standard output, named by its path.
    Stdout(File),
}

/// Opens the destination of a report without changing its content.
fn target(path: &Path) -> Result<OutputTarget<'_>> {
    if ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|it| path == Path::new(it)) {
        // A new open by path would lose the file offset and the append mode of `>>`.
        return Ok(OutputTarget::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into()));
    }
    // The open must not wait for the reader of a FIFO, or acquire a controlling terminal.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits())?;
    match OpenOptions::new().write(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => existing(file, path),
        Ok(file) => stream(file).map(OutputTarget::Overwrite),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) if path.is_symlink() => bail!(LINK),
            Some(Errno::NOENT | Errno::NOTDIR | Errno::ISDIR) if !has_folder(path) => bail!(FOLDER),
            Some(Errno::NOENT) => {
                let file = new_file(path)?;
                Ok(OutputTarget::Replace { file, path })
            }
            Some(Errno::NXIO) => bail!("it is a FIFO without a reader, or a socket\n{NEXT}"),
            _ => Err(error.into()),
        },
    }
}

const FOLDER: &str = "the folder does not exist\nnext step: choose a file in an existing folder";
const LINK: &str = "it is a dangling link\nnext step: choose its target";
const NEXT: &str = "next step: choose a regular file, or omit --output to use standard output";

fn has_folder(path: &Path) -> bool {
    !path.is_dir() && folder(path).is_dir()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a temporary file in the folder of `path`, with the default mode of a new file.
fn new_file(path: &Path) -> io::Result<NamedTempFile> {
    Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder(path))
}

fn existing(file: File, path: &Path) -> Result<OutputTarget<'_>> {
    let metadata = file.metadata()?;
    // A replacement would change the owner, separate hard links, or replace a link.
    let alone = metadata.uid() == geteuid().as_raw() && metadata.nlink() == 1;
    if !alone || path.is_symlink() {
        return Ok(OutputTarget::Overwrite(file));
    }
    match new_file(path) {
        Ok(new) if new.as_file().metadata()?.gid() != metadata.gid() => {
            Ok(OutputTarget::Overwrite(file))
        }
        Ok(new) => {
            new.as_file().set_permissions(metadata.permissions())?;
            Ok(OutputTarget::Replace { file: new, path })
        }
        // This user can write to the file, but not to its folder.
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            Ok(OutputTarget::Overwrite(file))
        }
        Err(error) => Err(error.into()),
    }
}

/// Accepts an anonymous pipe, a terminal or `/dev/null`, and sets it to blocking writes.
fn stream(file: File) -> Result<File> {
    let (metadata, kind) = (file.metadata()?, file.metadata()?.file_type());
    let pipe = kind.is_fifo() && u64::try_from(fstatfs(&file)?.f_type) == Ok(PIPEFS);
    let null = kind.is_char_device() && metadata.rdev() == makedev(NULL.0, NULL.1);
    if !pipe && !null && !file.is_terminal() {
        let what = if kind.is_fifo() { "a FIFO" } else { "a device" };
        bail!("it is {what}\n{NEXT}");
    }
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}
