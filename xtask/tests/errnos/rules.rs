//! The rules for access in `shm_cli::access`, held against the kernel: every mode, several owners,
//! several users.

use std::env;
use std::fs::{self, File, OpenOptions, Permissions as Mode};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::ExitCode;

use shm_cli::access::{self, Permissions};
use shm_cli::process::Process;
use shm_core::{Access, Errno, Segment, table};
use shm_testkit::isolation::{in_user_namespace, mount_tmpfs};
use shm_testkit::need::{ANOTHER_USER, MOUNTS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as};
use shm_testkit::{Trial, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[ANOTHER_USER, MOUNTS] =>
            the_rules_for_segments_are_those_of_the_kernel,
            the_rules_for_files_and_directories_are_those_of_the_kernel;
    ]
}

/// The variable with the part that this program does as another user.
const PART: &str = "SHM_TEST_RULES";
const FOLDER: &str = "/dev/shm";

/// Owners and groups of the objects; the first is also the creator of all segments.
const OWNERS: [(u32, u32); 4] = [(1000, 1000), (2000, 3000), (0, 0), (101_000, 101_000)];
/// Bits of one class of users: for objects, and for directories.
const USE: [u32; 4] = [0, 2, 4, 6];
const ENTER: [u32; 5] = [0, 1, 2, 3, 7];

/// Returns the modes with these bits in each of the three classes.
fn modes(bits: &[u32]) -> impl Iterator<Item = u32> {
    let pair = |high: u32| bits.iter().map(move |low| high << 3 | low);
    bits.iter().flat_map(move |first| pair(*first)).flat_map(pair)
}

const CREATOR: &str = "--reuid 1000 --regid 1000 --clear-groups";

/// Users as options of `setpriv(1)`: owners, a member of a group, a stranger, root with fewer
/// capabilities.
const USERS: [&str; 8] = [
    CREATOR,
    "--reuid 2000 --regid 2000 --clear-groups",
    "--reuid 4000 --regid 4000 --groups 3000",
    NOBODY,
    "--reuid 0",
    "--bounding-set=-all",
    "--bounding-set=-ipc_owner,-dac_override",
    "--bounding-set=-sys_admin,-fowner,-dac_read_search",
];

/// The usual map of a user namespace. It maps the id that stands for ids without a mapping, too.
const USUAL_MAP: &str = "0 100000 65536";

/// Does a part as each user: in this user namespace, as root of another one, which maps only that
/// user, and in one with the usual map: as root, as an owner and as a stranger.
fn as_each_user(part: &str) {
    let folder = PublicFolder::new();
    let program = folder.copy(env::current_exe().unwrap());
    for user in USERS {
        run_as(user, &program).env(PART, part).assert().success();
    }
    for user in [CREATOR, NOBODY, "--reuid 0"] {
        let mut inside = run_as(user, "unshare");
        inside.args(["--user", "--map-root-user"]).arg(&program).env(PART, part);
        inside.assert().success();
    }
    for user in [0, 1000, 2000] {
        in_user_namespace(USUAL_MAP, user, &program).env(PART, part).assert().success();
    }
}

/// Does the part that a trial named and returns the exit status; `None` if no trial started this
/// program.
pub(crate) fn compare_if_asked() -> Option<ExitCode> {
    match env::var(PART).ok()?.as_str() {
        "create" => create_segments(),
        "segments" => compare_segments(&Process::current()),
        _ => compare_files(&Process::current()),
    }
    Some(ExitCode::SUCCESS)
}

fn the_rules_for_segments_are_those_of_the_kernel() {
    let folder = PublicFolder::new();
    let program = folder.copy(env::current_exe().unwrap());
    run_as(CREATOR, program).env(PART, "create").assert().success();
    assert_eq!(table::list().unwrap().len(), 64 * OWNERS.len());
    as_each_user("segments");
}

fn create_segments() {
    for mode in modes(&USE) {
        for (uid, gid) in OWNERS {
            Segment::create_private(1, mode).unwrap().set_permissions(uid, gid, mode).unwrap();
        }
    }
}

fn compare_segments(process: &Process) {
    for stat in table::list().unwrap() {
        let (segment, object) = (Segment::from_id(stat.shmid), Permissions::from(&stat));
        let check = |access, errno: Option<Errno>| {
            let refused = matches!(errno, Some(Errno::EACCES | Errno::EPERM));
            let missing = access::system_v(&object, access, process);
            assert_eq!(refused, missing.is_some(), "{access:?} {errno:?} {object:?} {process:?}");
        };
        check(Access::Read, segment.attach().err().and_then(|error| error.errno()));
        check(Access::ReadWrite, segment.attach_writable().err().and_then(|error| error.errno()));
        // IPC_SET needs the same permission as IPC_RMID.
        let set = segment.set_permissions(stat.uid, stat.gid, stat.mode);
        check(Access::Remove, set.err().and_then(|error| error.errno()));
    }
}

fn the_rules_for_files_and_directories_are_those_of_the_kernel() {
    mount_tmpfs(FOLDER, "mode=0755");
    for (number, (uid, gid)) in OWNERS.into_iter().enumerate() {
        for mode in modes(&USE) {
            create(&format!("{FOLDER}/file.{mode:o}.{number}"), uid, gid, mode);
        }
        for mode in modes(&ENTER).flat_map(|mode| [mode, 0o1000 | mode]) {
            let folder = format!("{FOLDER}/folder.{mode:o}.{number}");
            fs::create_dir(&folder).unwrap();
            create(&format!("{folder}/file"), 1000, 1000, 0o644);
            change(&folder, uid, gid, mode);
        }
    }
    as_each_user("files");
}

fn create(path: &str, uid: u32, gid: u32, mode: u32) {
    File::create_new(path).unwrap();
    change(path, uid, gid, mode);
}

fn change(path: &str, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, Mode::from_mode(mode)).unwrap();
}

fn compare_files(process: &Process) {
    let file_in_folder = |folder: &Path| folder.join("file");
    for entry in fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::metadata(&path).unwrap();
        let object = Permissions::from(&metadata);
        let check = |what, answer: io::Result<()>, denied: bool| {
            assert_eq!(answer.is_err(), denied, "{what} {answer:?} {object:?} {process:?}");
        };
        if metadata.is_file() {
            let write = OpenOptions::new().read(true).write(true).open(&path);
            let denied = |access| access::file(&object, access, process).is_some();
            check("read", File::open(&path).map(drop), denied(Access::Read));
            check("write", write.map(drop), denied(Access::ReadWrite));
            continue;
        }
        let denied = |change| access::directory(&object, change, process).is_some();
        let inside = fs::metadata(file_in_folder(&path));
        let (entered, file) = (inside.as_ref().map(drop), inside.as_ref().ok());
        check("enter", entered.map_err(|error| error.kind().into()), denied(false));
        let new = path.join("new");
        check("create", File::create_new(&new).map(drop), denied(true));
        // Ignored: most users have created none.
        let _ = fs::remove_file(&new);
        // To rename a file is to remove its name and to create another one.
        if let Some(file) = file {
            let denied = denied(true) || access::sticky(&object, &file.into(), process).is_some();
            let (old, other) = (file_in_folder(&path), path.join("other"));
            let renamed = fs::rename(&old, &other);
            if renamed.is_ok() {
                fs::rename(&other, &old).unwrap();
            }
            check("rename", renamed, denied);
        }
    }
}
