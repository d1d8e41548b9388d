//! Other users: EACCES, EPERM.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::ExitCode;

use assert_cmd::Command;
use predicates::str::contains;
use rustix::fs::{XattrFlags, setxattr};
use shm_cli::{DEFAULT_KEY, Diagnosis, Failure};
use shm_core::stat::SegmentId;
use shm_core::{Access, Errno, Segment};
use shm_testkit::isolation::{in_user_namespace, mount_tmpfs};
use shm_testkit::need::{ANOTHER_USER, MOUNTS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as};
use shm_testkit::{Need, Trial, tools, trials};

use crate::{shm_rd, shm_wr, tells};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[ANOTHER_USER] =>
            eacces_of_shmget_names_the_user_and_the_segment,
            eacces_of_shmat_says_that_the_segment_can_be_read,
            eperm_of_shmctl_names_the_owner_of_the_segment,
            a_user_with_read_permission_reads_and_cannot_write,
            an_owner_without_a_mapping_is_named_with_the_map,
            a_group_that_would_be_enough_is_named,
            an_unmapped_user_is_named_as_such;
        Trial::isolated, &[ANOTHER_USER, MOUNTS] =>
            eacces_of_shm_open_and_shm_unlink_names_owner_and_mode,
            a_directory_that_forbids_changes_is_named,
            a_closed_directory_behind_a_link_is_named,
            an_owner_that_is_possibly_not_mapped_is_named_as_such,
            an_immutable_file_is_named,
            an_append_only_directory_is_named_for_removal_but_not_for_creation,
            an_access_control_list_is_named,
            a_queue_names_its_owner_or_says_why_not,
            a_directory_of_queues_that_forbids_creation_is_named;
        Trial::isolated, &[ANOTHER_USER, MOUNTS, FUSE] =>
            a_file_system_that_admits_only_the_user_who_mounted_it_is_named;
    ]
}

/// A kernel with FUSE.
const FUSE: Need = Need::new("FUSE", "grep -w fuse /proc/filesystems").optional();

/// The variable with the shmid that this program, as another user, attaches for writing.
const ATTACH: &str = "SHM_TEST_ATTACH";

/// Returns a command that runs a copy of a tool as another user.
fn theirs(folder: &PublicFolder, name: &str, arguments: &[&str]) -> Command {
    let mut command = run_as(NOBODY, folder.copy(tools::path(name)));
    command.args(arguments);
    command
}

/// Returns the hint to run as the owner, or to do something else, where no engine is known.
fn as_owner(otherwise: &str) -> String {
    format!(
        "run this as user 0 (docker, podman: --user 0; compose: user: \"0\"; Kubernetes: \
         securityContext.runAsUser: 0); or {otherwise}"
    )
}

const RECREATE: &str = "let the owner remove it and create it again with a --mode that includes this \
                        user, such as 0666";
const LET_REMOVE: &str = "let its owner remove it";

fn eacces_of_shmget_names_the_user_and_the_segment() {
    let folder = PublicFolder::new();
    shm_wr(&["--mode", "0600", "secret"]).assert().code(0);
    let id = Segment::find(DEFAULT_KEY).unwrap().id();
    let first = "shmget failed, errno: 13 msg: Permission denied";
    let cause =
        format!("segment {id} of 1024 bytes belongs to user 0 and has mode 0600: user 65534 ");
    let read = cause.clone() + "may not read it";
    let write = cause + "may neither read nor write it";
    tells(&mut theirs(&folder, "shm_rd", &[]), first, &read, &as_owner(RECREATE));
    tells(&mut theirs(&folder, "shm_wr", &["x"]), first, &write, &as_owner(RECREATE));
    shm_rd(&["--raw"]).assert().code(0).stdout("secret");
}

fn a_user_with_read_permission_reads_and_cannot_write() {
    let folder = PublicFolder::new();
    shm_wr(&["--mode", "0644", "public"]).assert().code(0);
    theirs(&folder, "shm_rd", &["--raw"]).assert().code(0).stdout("public");
    theirs(&folder, "shm_wr", &["x"]).assert().code(255).stdout("shm write failed\n");
    shm_rd(&["--raw"]).assert().code(0).stdout("public");
}

fn eacces_of_shmat_says_that_the_segment_can_be_read() {
    let folder = PublicFolder::new();
    let segment = Segment::create_new(DEFAULT_KEY, 100, 0o644).unwrap();
    // A tool would fail in shmget before it calls shmat, so this program makes the call.
    let mut attaching = run_as(NOBODY, folder.copy(env::current_exe().unwrap()));
    attaching.env(ATTACH, segment.id().to_string());
    let cause = format!(
        "segment {} of 100 bytes belongs to user 0 and has mode 0644: user 65534 may read it, but \
         not write it",
        segment.id()
    );
    let first = "shmat failed, errno: 13 msg: Permission denied";
    tells(&mut attaching, first, &cause, &as_owner(RECREATE));
}

/// Attaches the segment that a trial named, prints the failure like the tools, and returns the exit
/// status; `None` if no trial started this program.
pub(crate) fn attach_if_asked() -> Option<ExitCode> {
    use std::io::{self, Write};

    let id = env::var(ATTACH).ok()?.parse().unwrap();
    let error = Segment::from_id(SegmentId(id)).attach_writable().unwrap_err();
    let mut stderr = io::stderr().lock();
    writeln!(stderr, "{}", Failure::from(error)).unwrap();
    Some(ExitCode::from(255))
}

fn eperm_of_shmctl_names_the_owner_of_the_segment() {
    let folder = PublicFolder::new();
    shm_wr(&["x"]).assert().code(0);
    let segment = Segment::find(DEFAULT_KEY).unwrap();
    tells(
        &mut theirs(&folder, "shm_wr", &["--remove"]),
        "shmctl failed, errno: 1 msg: Operation not permitted",
        &format!(
            "segment {} of 1024 bytes belongs to user 0 and has mode 0666: user 65534 may not remove \
             it, and has no CAP_SYS_ADMIN",
            segment.id()
        ),
        &as_owner(LET_REMOVE),
    );
    assert_eq!(Segment::find(DEFAULT_KEY), Ok(segment));
    // That user may remove a segment of its own.
    segment.remove().unwrap();
    theirs(&folder, "shm_wr", &["--mode", "0600", "x"]).assert().code(0);
    theirs(&folder, "shm_wr", &["--remove"]).assert().code(0).stdout("shm remove success\n");
}

fn eacces_of_shm_open_and_shm_unlink_names_owner_and_mode() {
    let folder = PublicFolder::new();
    // With the sticky bit, other users cannot remove files of a directory that they may write to.
    mount_tmpfs("/dev/shm", "mode=1777");
    shm_wr(&["--posix", "name", "--mode", "0600", "secret"]).assert().code(0);
    let cause = "/dev/shm/name belongs to user 0 and has mode 0600: user 65534 may ";
    let first = "shm_open failed, errno: 13 msg: Permission denied";
    let hint = as_owner(
        "let the owner change the mode (chmod 0666 /dev/shm/name), or remove it and create it again \
         with a --mode that includes this user",
    );
    let [read, write] =
        ["not read it", "neither read nor write it"].map(|it| cause.to_owned() + it);
    tells(&mut theirs(&folder, "shm_rd", &["--posix", "name"]), first, &read, &hint);
    tells(&mut theirs(&folder, "shm_wr", &["--posix", "name", "x"]), first, &write, &hint);
    let cause = format!(
        "{cause}not remove it; in /dev/shm, which is sticky and belongs to user 0, users remove only \
         their own files"
    );
    let hint = as_owner(LET_REMOVE);
    let remove = theirs(&folder, "shm_wr", &["--posix", "name", "--remove"]).output().unwrap();
    let said = String::from_utf8(remove.stderr).unwrap();
    // The kernel returns EPERM; glibc's shm_unlink turns it into EACCES, musl's does not.
    assert!(
        ["1 msg: Operation not permitted", "13 msg: Permission denied"].iter().any(|error| {
            said == format!("shm_unlink failed, errno: {error}\ncause: {cause}\nhint: {hint}\n")
        }),
        "{said}"
    );
    shm_rd(&["--posix", "name", "--raw"]).assert().code(0).stdout("secret");
}

/// Returns a command that runs a tool as root of a new user namespace, in the same IPC namespace.
fn as_root_of_a_user_namespace(tool: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(tools::path(tool)).args(arguments);
    command
}

fn an_owner_without_a_mapping_is_named_with_the_map() {
    let segment = Segment::create_new(DEFAULT_KEY, 100, 0o600).unwrap();
    // The creator has the rights of the owner, so another user creates it.
    segment.remove().unwrap();
    let folder = PublicFolder::new();
    theirs(&folder, "shm_wr", &["--mode", "0600", "secret"]).assert().code(0);
    let id = Segment::find(DEFAULT_KEY).unwrap().id();
    let belongs = format!(
        "segment {id} of 1024 bytes belongs to an owner that is not mapped in this user namespace \
         (uid_map: 0 0 1) and has mode 0600: user 0 may not"
    );
    let elsewhere = "does not count: another user namespace owns this IPC namespace";
    let hint = "run this in the user namespace of its owner; or let";
    tells(
        &mut as_root_of_a_user_namespace("shm_rd", &[]),
        "shmget failed, errno: 13 msg: Permission denied",
        &format!("{belongs} read it; its CAP_IPC_OWNER {elsewhere}"),
        &format!(
            "{hint} the owner remove it and create it again with a --mode that includes this user, \
             such as 0666"
        ),
    );
    tells(
        &mut as_root_of_a_user_namespace("shm_wr", &["--remove"]),
        "shmctl failed, errno: 1 msg: Operation not permitted",
        &format!("{belongs} remove it; its CAP_SYS_ADMIN {elsewhere}"),
        &format!("{hint} its owner remove it"),
    );
    shm_rd(&["--raw"]).assert().code(0).stdout("secret");
}

fn an_owner_that_is_possibly_not_mapped_is_named_as_such() {
    let folder = PublicFolder::new();
    mount_tmpfs("/dev/shm", "mode=1777");
    shm_wr(&["--mode", "0600", "secret"]).assert().code(0);
    shm_wr(&["--posix", "name", "--mode", "0600", "secret"]).assert().code(0);
    let id = Segment::find(DEFAULT_KEY).unwrap().id();
    let program = folder.copy(tools::path("shm_rd"));
    // The map has an id 65534, which is shown for the owner although it is not mapped.
    let inside = || in_user_namespace("0 100000 65536", 0, &program);
    let belongs = "belongs to an owner that is shown as user 65534 and is possibly not mapped in this \
                   user namespace (uid_map: 0 100000 65536) and has mode 0600: user 0 may not read it";
    let hint = "find its owner from outside of this user namespace (ls -n, shm_ls), and run this as \
                that user there; or let the owner";
    tells(
        &mut inside(),
        "shmget failed, errno: 13 msg: Permission denied",
        &format!(
            "segment {id} of 1024 bytes {belongs}; its CAP_IPC_OWNER does not count: another user \
             namespace owns this IPC namespace"
        ),
        &format!(
            "{hint} remove it and create it again with a --mode that includes this user, such as 0666"
        ),
    );
    tells(
        inside().args(["--posix", "name"]),
        "shm_open failed, errno: 13 msg: Permission denied",
        &format!(
            "/dev/shm/name {belongs}; its CAP_DAC_OVERRIDE possibly does not count: it covers only \
             owners and groups that are mapped in this user namespace"
        ),
        &format!(
            "{hint} change the mode (chmod 0666 /dev/shm/name), or remove it and create it again \
             with a --mode that includes this user"
        ),
    );
}

fn an_unmapped_user_is_named_as_such() {
    let folder = PublicFolder::new();
    shm_wr(&["--mode", "0600", "secret"]).assert().code(0);
    let mut command = run_as(NOBODY, "unshare");
    command.arg("--user").arg(folder.copy(tools::path("shm_rd")));
    let said = command.assert().code(255);
    said.stderr(contains(
        "belongs to an owner that is not mapped in this user namespace (uid_map: empty) and has mode \
         0600: user 65534, which is not mapped in this user namespace, may not read it, \
         unless that owner or its group is its own\n",
    ));
}

fn a_group_that_would_be_enough_is_named() {
    let folder = PublicFolder::new();
    shm_wr(&["--mode", "0640", "x"]).assert().code(0);
    theirs(&folder, "shm_rd", &[]).assert().code(255).stderr(contains(
        "belongs to user 0 and group 0 and has mode 0640: user 65534 may not read it\n",
    ));
    let mut member =
        run_as("--reuid 65534 --regid 65534 --groups 0", folder.copy(tools::path("shm_rd")));
    member.arg("--raw").assert().code(0).stdout("x");
}

fn a_directory_that_forbids_changes_is_named() {
    let folder = PublicFolder::new();
    mount_tmpfs("/dev/shm", "mode=0755");
    shm_wr(&["--posix", "mine", "--mode", "0666", "x"]).assert().code(0);
    let cause = "cause: /dev/shm belongs to user 0 and has mode 0755: user 65534 cannot";
    theirs(&folder, "shm_wr", &["--posix", "new", "x"])
        .assert()
        .code(255)
        .stderr(contains(format!("{cause} create files there\n")));
    theirs(&folder, "shm_wr", &["--posix", "mine", "--remove"])
        .assert()
        .code(255)
        .stderr(contains(format!("{cause} remove files there\n")));
    // The directory lets nobody in, so nothing is known of the file.
    mount_tmpfs("/dev/shm", "mode=0700");
    theirs(&folder, "shm_rd", &["--posix", "mine"]).assert().code(255).stderr(contains(
        "cause: /dev/shm belongs to user 0 and has mode 0700: user 65534 cannot enter it\n",
    ));
}

fn a_closed_directory_behind_a_link_is_named() {
    let folder = PublicFolder::new();
    mount_tmpfs("/mnt", "mode=0755");
    fs::create_dir_all("/mnt/closed/inside").unwrap();
    fs::set_permissions("/mnt/closed", Permissions::from_mode(0o700)).unwrap();
    shm_wr(&["--file", "/mnt/closed/inside/file", "--mode", "0666", "x"]).assert().code(0);
    symlink("closed/inside", "/mnt/folder").unwrap();
    symlink("/mnt/folder/file", "/mnt/file").unwrap();
    symlink("file", "/mnt/again").unwrap();
    let cause = "/mnt/closed belongs to user 0 and has mode 0700: user 65534 cannot enter it";
    let hint = "let its owner change the mode or the owner of /mnt/closed (chmod, chown)";
    let first = "open failed, errno: 13 msg: Permission denied";
    for path in ["/mnt/folder/file", "/mnt/file", "/mnt/again", "/mnt/folder/../inside/file"] {
        tells(&mut theirs(&folder, "shm_rd", &["--file", path]), first, cause, hint);
    }
    tells(&mut theirs(&folder, "shm_wr", &["--file", "/mnt/folder/new", "x"]), first, cause, hint);
}

fn an_immutable_file_is_named() {
    mount_tmpfs("/dev/shm", "mode=1777");
    shm_wr(&["--posix", "name", "x"]).assert().code(0);
    let chattr = |flag: &str| Command::new("chattr").args([flag, "/dev/shm/name"]).assert();
    chattr("+i").success();
    let cause = "/dev/shm/name has the attribute immutable (lsattr), which binds root too";
    let hint = "let root remove the attribute: chattr -i /dev/shm/name";
    let first = "shm_open failed, errno: 1 msg: Operation not permitted";
    tells(&mut shm_wr(&["--posix", "name", "y"]), first, cause, hint);
    shm_wr(&["--posix", "name", "--remove"]).assert().code(255).stderr(contains(cause));
    chattr("-i").success();
    shm_wr(&["--posix", "name", "y"]).assert().code(0);
}

fn an_append_only_directory_is_named_for_removal_but_not_for_creation() {
    mount_tmpfs("/mnt", "mode=1777");
    fs::create_dir("/mnt/folder").unwrap();
    let chattr = |flag: &str| Command::new("chattr").args([flag, "/mnt/folder"]).assert().success();
    chattr("+a");
    // It takes a new file, so it is not the cause if something else refuses one.
    let file = ["--file", "/mnt/folder/file"];
    shm_wr(&[&file[..], &["x"]].concat()).assert().code(0);
    let refused = shm_core::Error::File {
        call: "open",
        path: "/mnt/folder/other".into(),
        size: 0,
        access: Access::Create,
        errno: Errno::EPERM,
    };
    let cause = Diagnosis::of(&refused).unwrap().cause;
    assert!(!cause.contains("append-only"), "{cause}");
    tells(
        &mut shm_wr(&[&file[..], &["--remove"]].concat()),
        "unlink failed, errno: 1 msg: Operation not permitted",
        "/mnt/folder has the attribute append-only (lsattr), which binds root too",
        "let root remove the attribute: chattr -a /mnt/folder",
    );
    chattr("-a");
}

fn an_access_control_list_is_named() {
    let folder = PublicFolder::new();
    mount_tmpfs("/dev/shm", "mode=1777");
    shm_wr(&["--posix", "name", "--mode", "0644", "x"]).assert().code(0);
    theirs(&folder, "shm_rd", &["--posix", "name"]).assert().code(0);
    // Version 2, then tag, permissions and id of each entry, in little endian: as of
    // `setfacl -m u:65534:-`.
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, u32::MAX),
        (0x02, 0, 65_534),
        (0x04, 4, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 4, u32::MAX),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    setxattr("/dev/shm/name", "system.posix_acl_access", &list, XattrFlags::empty()).unwrap();
    theirs(&folder, "shm_rd", &["--posix", "name"]).assert().code(255).stderr(contains(
        "cause: /dev/shm/name belongs to user 0 and has mode 0644, and its mode lets user 65534 read \
         it; it has an access control list (getfacl), which can deny it; ",
    ));
}

fn a_file_system_that_admits_only_the_user_who_mounted_it_is_named() {
    // The kernel refuses other users before it asks the program of the file system, so none is needed.
    const MOUNT: &str = "mknod /mnt/fuse c 10 229 && exec 3<>/mnt/fuse && mkdir /mnt/point && \
                         mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none /mnt/point";
    let folder = PublicFolder::new();
    mount_tmpfs("/mnt", "mode=0755");
    Command::new("sh").args(["-c", MOUNT]).assert().success();
    symlink("point/file", "/mnt/link").unwrap();
    let first = "open failed, errno: 13 msg: Permission denied";
    let hint = "run this as the user who mounted it, or mount it with the option allow_other";
    for path in ["/mnt/point/file", "/mnt/link"] {
        let cause = format!(
            "the owner and mode of {path} cannot be read; /mnt/point/file is on a file system of type \
             fuse, which admits only user 0, because it is mounted without allow_other, and whose \
             program can refuse by itself"
        );
        tells(&mut theirs(&folder, "shm_rd", &["--file", path]), first, &cause, hint);
    }
}

fn a_queue_names_its_owner_or_says_why_not() {
    let folder = PublicFolder::new();
    let object = ["--object", "mqueue"];
    shm_wr(&[&object[..], &["--mode", "0600", "x"]].concat()).assert().code(0);
    let read = || theirs(&folder, "shm_rd", &object);
    read()
        .assert()
        .code(255)
        .stderr(contains("are not known, because no mount at /dev/mqueue shows it; "));
    mount_queues();
    read().assert().code(255).stderr(contains(format!(
        "cause: /dev/mqueue/shm_{DEFAULT_KEY} belongs to user 0 and has mode 0600: user 65534 may \
         neither read nor write it\n"
    )));
    theirs(&folder, "shm_wr", &["--object", "mqueue", "--remove"]).assert().code(255).stderr(
        contains(": user 65534 may not remove it; in /dev/mqueue, which is sticky and belongs to "),
    );
}

/// Mounts the POSIX queues of this IPC namespace. The host may have no `/dev/mqueue`.
fn mount_queues() {
    const SCRIPT: &str =
        "mount -t tmpfs none /dev && mkdir /dev/mqueue && mount -t mqueue none /dev/mqueue";
    Command::new("sh").args(["-c", SCRIPT]).assert().success();
}

fn a_directory_of_queues_that_forbids_creation_is_named() {
    let folder = PublicFolder::new();
    mount_queues();
    fs::set_permissions("/dev/mqueue", Permissions::from_mode(0o755)).unwrap();
    let create = || theirs(&folder, "shm_wr", &["--object", "mqueue", "x"]);
    tells(
        &mut create(),
        "mq_open failed, errno: 13 msg: Permission denied",
        "/dev/mqueue belongs to user 0 and has mode 0755: user 65534 cannot create files there",
        "let its owner change the mode or the owner of /dev/mqueue (chmod, chown)",
    );
    // The mode counts without the mount, too.
    Command::new("umount").arg("/dev/mqueue").assert().success();
    create().assert().code(255).stderr(contains(
        "cause: the owner and mode of the directory of the queues are not known, because no mount at \
         /dev/mqueue shows it; ",
    ));
}
