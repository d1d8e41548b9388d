//! Names of users.

use std::collections::HashMap;
use std::fs;

use shm_core::text::escape_line;

/// The names in `/etc/passwd`, by user id.
///
/// The C library also asks sources such as LDAP, through plug-ins that a static program cannot
/// load. Users from these sources have no name here.
#[derive(Debug)]
pub(crate) struct Owners(HashMap<u32, String>);

impl Owners {
    /// Reads `/etc/passwd`. In an image without that file there are no names.
    pub(crate) fn load() -> Self {
        Self::parse(&fs::read("/etc/passwd").unwrap_or_default())
    }

    fn parse(passwd: &[u8]) -> Self {
        let passwd = String::from_utf8_lossy(passwd);
        let mut owners = HashMap::new();
        for line in passwd.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1))
                && let Ok(uid) = uid.parse()
                // The file comes from an image, so a name may contain control characters.
                && !name.is_empty()
                && !name.contains(char::is_whitespace)
                && escape_line(name.as_bytes()) == name
            {
                // The first line for a user id is the one that getpwuid(3) returns.
                owners.entry(uid).or_insert_with(|| name.to_owned());
            }
        }
        Self(owners)
    }

    /// Returns the name of a user.
    pub(crate) fn name(&self, uid: u32) -> Option<&str> {
        self.0.get(&uid).map(String::as_str)
    }

    /// Returns the name of a user, or the user id without one.
    pub(crate) fn label(&self, uid: u32) -> String {
        self.name(uid).map_or_else(|| uid.to_string(), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;

    #[test]
    fn names_with_control_characters_or_spaces_are_ignored() {
        let owners = Owners::parse(
            b"\x1b[2Jx:x:1:1::/:\n\xc2\x9b2J:x:2:2::/:\na b:x:3:3::/:\n:x:4:4::/:\n\
            \xe2\x80\xaetoor:x:5:5::/:\n",
        );
        assert!((1..=5).all(|uid| owners.name(uid).is_none()), "{owners:?}");
    }

    #[test]
    fn the_first_name_of_a_user_id_is_used_and_malformed_lines_are_ignored() {
        let owners = Owners::parse(b"root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:\nbroken\n:x\nz:x:y:\n");
        assert_eq!(owners.name(0), Some("root"));
        assert_eq!(owners.name(1), None);
    }
}
