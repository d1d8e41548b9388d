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

/// The grammar of a kind of names.
pub trait Grammar {
    /// The kind, for messages.
    const WHAT: &'static str;
    /// The rule, for messages.
    const RULE: &'static str;
    /// Returns whether a text is a valid name of the kind.
    const ALLOWS: fn(&str) -> bool;
}

/// A text that the grammar `G` allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "G: Grammar + Clone")]
pub struct CheckedName<G> {
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

impl<G: Grammar> FromStr for CheckedName<G> {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if (G::ALLOWS)(text) {
            return Ok(Self { text: text.to_owned(), grammar: PhantomData });
        }
        Err(InvalidName { text: Untrusted::line(text), what: G::WHAT, rule: G::RULE })
    }
}

impl<G: Grammar> TryFrom<String> for CheckedName<G> {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl<G> From<CheckedName<G>> for String {
    fn from(name: CheckedName<G>) -> Self {
        name.text
    }
}

impl<G> Deref for CheckedName<G> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<G> fmt::Display for CheckedName<G> {
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
            const ALLOWS: fn(&str) -> bool = $allows;
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

grammar! {
    /// Names of images, by the grammar of the reference implementation of the distribution
    /// specification (`reference/regexp.go`): `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
    Image, "name of an image", "use the form [HOST[:PORT]/]PATH[:TAG][@ALGORITHM:DIGEST]",
    |text| {
        let (text, digest) = text.split_once('@').map_or((text, None), |(it, rest)| (it, Some(rest)));
        // A colon before a slash belongs to a port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (text, None),
        };
        name.len() <= 255 && is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
    }
}

fn has_valid_start(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-')
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Returns whether `name` is a path with an optional registry.
fn is_name(name: &str) -> bool {
    let is_path = |path: &str| path.split('/').all(is_component);
    is_path(name) || name.split_once('/').is_some_and(|(host, path)| is_host(host) && is_path(path))
}

/// Returns whether it has lower-case letters and digits, separated by `.`, `_`, `__` or dashes.
fn is_component(component: &str) -> bool {
    let is_word = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let mut runs = component.as_bytes().chunk_by(|a, b| is_word(a) == is_word(b)).peekable();
    let has_valid_end = component.as_bytes().last().is_some_and(is_word);
    let mut first = true;
    has_valid_end
        && runs.all(|run| {
            let is_start = std::mem::take(&mut first);
            let is_separator =
                || matches!(run, b"." | b"_" | b"__") || run.iter().all(|it| *it == b'-');
            is_word(&run[0]) || (!is_start && is_separator())
        })
}

/// Returns whether `host` is a host name, or an IPv6 address in brackets, with an optional port.
fn is_host(host: &str) -> bool {
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    };
    let is_part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !part.is_empty()
            && part.bytes().all(allowed)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let is_address = |text: &str| text.bytes().all(|it| it.is_ascii_hexdigit() || it == b':');
    let bracketed = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        && bracketed.map_or_else(|| host.split('.').all(is_part), is_address)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && is_word(tag.as_bytes()[0])
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hexadecimal)) = digest.split_once(':') else { return false };
    let is_algorithm = |byte: u8| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte);
    algorithm.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && algorithm.bytes().all(is_algorithm)
        && hexadecimal.len() >= 32
        && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{CheckedName, Context, Grammar, Id, Image, Label, Runtime, Subdomain};

    fn check<G: Grammar>(names: &[&str], others: &[&str]) {
        for name in names {
            assert_eq!(name.parse::<CheckedName<G>>().map(String::from).as_deref(), Ok(*name));
        }
        let long = "a".repeat(2000);
        for other in
            others.iter().copied().chain(["", "-f", "--all", "a\x1b[2J", "a\u{9b}b", &long])
        {
            assert!(!(G::ALLOWS)(other), "{other:?} is a {}", G::WHAT);
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
            assert!((Context::ALLOWS)(name), "{name}");
        }
        for other in ["", "-n", "a\nb", "a\tb", "a\x07"] {
            assert!(!(Context::ALLOWS)(other), "{other:?}");
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
        let error = "a\x1b[2J".parse::<CheckedName<Label>>().unwrap_err().to_string();
        assert!(error.starts_with("`a\\x1b[2J` is not a valid name of a namespace"), "{error}");
    }
}
