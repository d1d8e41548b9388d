//! Names of images, by the grammar of the reference implementation of the distribution
//! specification (`reference/regexp.go`): `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.

use crate::process::name::Grammar;

/// Names of images.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Image {}

impl Grammar for Image {
    const WHAT: &'static str = "name of an image";
    const RULE: &'static str = "use the form [HOST[:PORT]/]PATH[:TAG][@ALGORITHM:DIGEST]";

    fn allows(text: &str) -> bool {
        let (text, digest) = split(text, '@');
        // A colon before a slash belongs to a port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (text, None),
        };
        name.len() <= 255 && is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(text, rest)| (text, Some(rest)))
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
