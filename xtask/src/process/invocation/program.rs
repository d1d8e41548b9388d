//! Finds programs in PATH.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Finds the file of a program in the folders of `path`, a PATH. Returns `None` if there is none,
/// or if the name is a path.
pub(crate) fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    if name.contains('/') {
        return None;
    }
    let mut files = env::split_paths(path).map(|folder| folder.join(name));
    files.find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
}

/// Returns the program to pass to duct. With a path, the standard library uses `posix_spawn(3)`.
/// With a name, it forks and copies all mappings of this process, because duct sets PATH and the
/// child must search it. A name that is not found stays a name. So does a file that only a shell
/// can start, which `execvp(3)` does and `posix_spawn(3)` does not. The result is no `Path`,
/// because duct would change a name into `./name`.
pub(super) fn to_start(name: &str, path: &OsStr) -> OsString {
    let file = find(name, path).filter(|file| is_for_the_kernel(file));
    file.map_or_else(|| name.into(), PathBuf::into_os_string)
}

/// Returns whether the kernel can start a file: an ELF program, or a script with `#!`.
fn is_for_the_kernel(file: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && (start == *b"\x7fELF" || start.starts_with(b"#!"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{find, to_start};

    #[test]
    fn a_name_means_the_first_file_that_may_be_executed() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str, mode| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        };
        put("a/tool/file", "", 0o644);
        put("b/tool", "#!/bin/sh\n", 0o644);
        let script = put("c/tool", "#!/bin/sh\n", 0o755);
        let for_a_shell = put("d/other", "exit 0\n", 0o755);
        let path = std::env::join_paths(["a", "b", "c", "d"].map(|it| folder.path().join(it)));
        let path = path.unwrap();

        assert_eq!(find("tool", &path), Some(script.clone()));
        assert_eq!(find("other", &path), Some(for_a_shell));
        for none in ["file", "missing", "c/tool", ""] {
            assert_eq!(find(none, &path), None, "{none}");
        }
        assert_eq!(to_start("tool", &path), script);
        for name in ["other", "missing", "c/tool"] {
            assert_eq!(to_start(name, &path), name);
        }
    }
}
