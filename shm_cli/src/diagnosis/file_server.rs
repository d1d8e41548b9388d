//! File systems of a server or a program, which can refuse what owner and mode allow.

use std::path::Path;

use shm_core::posix::caution::folder_of;
use shm_core::text;

use super::files::shown;
use super::refusal::Suspect;
use crate::mounts::Mount;

/// Returns the server of the file system at a path as a suspect; `None` for a file system of this
/// kernel alone.
pub(super) fn suspect(path: &Path) -> Option<Suspect> {
    // A file that does not exist has no mount, but its directory has.
    let mount = Mount::of_path(path).or_else(|_| Mount::of_path(folder_of(path))).ok()?;
    of_mount(path, &mount)
}

fn of_mount(path: &Path, mount: &Mount) -> Option<Suspect> {
    let kind = &*mount.file_system;
    let (server, hint) = match kind {
        "nfs" | "nfs4" => (
            "whose server can refuse by itself: it has its own permissions, and usually takes root for \
             another user (root_squash)"
                .to_owned(),
            "look at the permissions on the server and at the options of its export (exportfs -v)",
        ),
        "cifs" | "smb3" => (
            "whose server can refuse by itself: it asks what the account of the mount may do".to_owned(),
            "look at the permissions of that account on the server (the mount option username)",
        ),
        "9p" | "virtiofs" | "ceph" | "afs" | "vboxsf" => (
            "whose server can refuse by itself: it has its own users and permissions".to_owned(),
            "look at the permissions on the server",
        ),
        "fuse" | "fuseblk" => program(mount),
        _ if kind.starts_with("fuse.") => program(mount),
        _ => return None,
    };
    let kind = text::escape_line(kind.as_bytes());
    Some(Suspect::new(
        format!("{} is on a file system of type {kind}, {server}", shown(path)),
        hint,
    ))
}

/// Returns what the program of a FUSE file system can refuse, and the next step.
fn program(mount: &Mount) -> (String, &'static str) {
    let option = |name: &str| mount.options.iter().find_map(|option| option.strip_prefix(name));
    if option("allow_other").is_some() {
        let program = "whose program can refuse by itself".to_owned();
        return (program, "look at the messages and permissions of that program");
    }
    let user = match option("user_id=") {
        Some(user) => format!("user {}", text::escape_line(user.as_bytes())),
        None => "the user who mounted it".to_owned(),
    };
    (
        format!(
            "which admits only {user}, because it is mounted without allow_other, and whose program \
             can refuse by itself"
        ),
        "run this as the user who mounted it, or mount it with the option allow_other",
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Suspect, of_mount};
    use crate::mounts::parse;

    fn suspect(kind: &str, options: &str) -> Option<Suspect> {
        let mounts = parse(&format!("1 2 0:1 / /mnt rw - {kind} source {options}\n"));
        of_mount(Path::new("/mnt/x"), &mounts[0])
    }

    #[test]
    fn servers_and_their_own_rules_are_named() {
        for (kind, rule, hint) in [
            ("nfs", "takes root for another user (root_squash)", "exportfs -v"),
            ("nfs4", "takes root for another user (root_squash)", "exportfs -v"),
            ("cifs", "the account of the mount", "username"),
            ("9p", "its own users and permissions", "on the server"),
        ] {
            let named = suspect(kind, "rw").unwrap();
            let start =
                format!("/mnt/x is on a file system of type {kind}, whose server can refuse ");
            assert!(named.who.starts_with(&start) && named.who.contains(rule), "{}", named.who);
            assert!(named.hint.contains(hint), "{}", named.hint);
        }
        for kind in ["tmpfs", "ext4", "overlay", "xfs", "fusectl"] {
            assert!(suspect(kind, "rw").is_none(), "{kind}");
        }
    }

    #[test]
    fn fuse_admits_other_users_only_with_an_option() {
        let closed = suspect("fuse.sshfs", "rw,user_id=1000,group_id=1000").unwrap();
        assert_eq!(
            closed.who,
            "/mnt/x is on a file system of type fuse.sshfs, which admits only user 1000, because it \
             is mounted without allow_other, and whose program can refuse by itself"
        );
        let open = suspect("fuse.sshfs", "rw,user_id=1000,group_id=1000,allow_other").unwrap();
        assert_eq!(
            open.who,
            "/mnt/x is on a file system of type fuse.sshfs, whose program can refuse by itself"
        );
    }
}
