//! Names that become arguments of a command. Each is checked by the grammar of its kind. No name
//! begins with a dash, which a command could parse as an option. No name has a control character,
//! so names are printed without escapes.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shm_core::text::escape_line;

use crate::process::untrusted::Untrusted;

mod image;

pub use image::Image;

/// The grammar of a kind of names.
pub trait Grammar {
    /// The kind, for messages.
    const WHAT: &'static str;
    /// The rule, for messages.
    const RULE: &'static str;

    /// Returns whether a text is a valid name of the kind.
    fn allows(text: &str) -> bool;
}

/// A text that the grammar `G` allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "G: Grammar + Clone")]
pub struct Name<G> {
    text: String,
    grammar: PhantomData<G>,
}

/// A text that is not a valid name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: {rule}")]
pub struct InvalidName {
    text: Untrusted,
    what: &'static str,
    rule: &'static str,
}

impl<G: Grammar> FromStr for Name<G> {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if G::allows(text) {
            return Ok(Self { text: text.to_owned(), grammar: PhantomData });
        }
        Err(InvalidName { text: Untrusted::line(text), what: G::WHAT, rule: G::RULE })
    }
}

impl<G: Grammar> TryFrom<String> for Name<G> {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl<G> From<Name<G>> for String {
    fn from(name: Name<G>) -> Self {
        name.text
    }
}

impl<G> Deref for Name<G> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<G> fmt::Display for Name<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Defines a kind of names.
macro_rules! grammar {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $allows:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {}

        impl Grammar for $name {
            const WHAT: &'static str = $what;
            const RULE: &'static str = $rule;

            fn allows(text: &str) -> bool {
                let allows: fn(&str) -> bool = $allows;
                allows(text)
            }
        }
    };
}

grammar! {
    /// Names of Kubernetes namespaces and of containers in pods (RFC 1123).
    Label, "name of a namespace or a container",
    "use 1 to 63 characters a-z, 0-9 and -, and a letter or a digit at both ends",
    |text| text.len() <= 63 && is_label(text)
}

grammar! {
    /// Names of other Kubernetes objects, such as pods and nodes (RFC 1123).
    Subdomain, "name of a Kubernetes object",
    "use 1 to 253 characters a-z, 0-9, - and ., and a letter or a digit at both ends of each part",
    |text| text.len() <= 253 && text.split('.').all(is_label)
}

grammar! {
    /// Names of kubectl contexts, which may contain any printable character.
    Context, "name of a context",
    "use printable characters, and no dash at the start",
    |text| has_valid_start(text) && escape_line(text.as_bytes()) == text
}

grammar! {
    /// Names and paths of OCI runtimes.
    Runtime, "name of a runtime",
    "use 1 to 255 letters, digits and ._-+/, and no dash at the start",
    |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+/".contains(&byte);
        has_valid_start(text) && text.len() <= 255 && text.bytes().all(allowed)
    }
}

grammar! {
    /// Ids of containers and pods in listings of docker and podman.
    Id, "id of a container", "use 1 to 64 hexadecimal digits",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

grammar! {
    /// Names of containers and pods in listings, and docker's `NAME/ALIAS` (moby `daemon/names`).
    Container, "name of a container",
    "use 1 to 255 of letters, digits and ._-/, with a letter or a digit at the start",
    |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        first && text.len() <= 255 && text.bytes().all(allowed)
    }
}

fn has_valid_start(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-')
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::{Context, Grammar, Id, Image, Label, Name, Runtime, Subdomain};

    fn check<G: Grammar>(names: &[&str], others: &[&str]) {
        for name in names {
            assert_eq!(name.parse::<Name<G>>().map(String::from).as_deref(), Ok(*name));
        }
        let long = "a".repeat(2000);
        for other in
            others.iter().copied().chain(["", "-f", "--all", "a\x1b[2J", "a\u{9b}b", &long])
        {
            assert!(!G::allows(other), "{other:?} is a {}", G::WHAT);
        }
    }

    #[test]
    fn names_follow_their_grammar_and_are_never_options() {
        check::<Label>(&["default", "shm-1f"], &["a.b", "A", "a-", &"a".repeat(64)]);
        check::<Subdomain>(&["node-1.example", "10.0.0.1"], &["a..b", "a.-b", "A", "a/b"]);
        check::<Runtime>(&["runsc", "/usr/bin/crun", "io.containerd.runc.v2"], &["a b", "a=b"]);
        check::<Id>(&["1f", &"0".repeat(64)], &["1g", &"0".repeat(65)]);
        let contexts = ["kubernetes-admin@kubernetes", "arn:aws:eks:eu:1:cluster/a", "my cluster"];
        for name in contexts {
            assert!(Context::allows(name), "{name}");
        }
        for other in ["", "-n", "a\nb", "a\tb", "a\x07"] {
            assert!(!Context::allows(other), "{other:?}");
        }
        let images = [
            "scratch",
            "ubuntu:22.04",
            "localhost/a_b/c__d:1",
            "Registry.example:5000/t",
            "t@sha256:0123456789abcdef0123456789abcdef",
            "docker.io/library/tools:v1.2-3",
            "[::1]:5000/t",
        ];
        let others =
            ["A", "a/", "/a", "a:", "a:-1", "a@sha256:1f", "a b", "a._b", "host:port/x", "a:b:c"];
        check::<Image>(&images, &others);
    }

    #[test]
    fn an_error_escapes_the_invalid_name() {
        let error = "a\x1b[2J".parse::<Name<Label>>().unwrap_err().to_string();
        assert!(error.starts_with("`a\\x1b[2J` is not a valid name of a namespace"), "{error}");
    }
}
