//! Images that runs have built, and that are not those of their checkouts any more.

use crate::commands::clean::engines::Engines;
use crate::commands::clean::summary::Summary;
use crate::engine::EngineError;
use crate::engine::dist::Dist;
use crate::engine::docker::client::{client, failed};
use crate::engine::image::{self, Image};
use crate::process::interrupt::Interrupt;
use crate::process::ledger::{EngineAt, Entry};
use crate::process::name::{Id, Name};
use crate::process::untrusted::Untrusted;

/// Removes the images that a ledger names and that are out of date; says which entries are left.
pub(super) fn clean(entries: &[Entry], engines: &Engines<'_>, summary: &mut Summary) -> Vec<Entry> {
    let interrupt = engines.interrupt;
    let mut left = Vec::new();
    for entry in entries {
        let Entry::Image { engine, id, tag, base, checkout } = entry else { continue };
        let place = &engine.program;
        let there = engines
            .is_the_same(engine)
            .and_then(|()| has(engine, tag, interrupt))
            .map(|there| there.as_ref() == Some(id));
        let is_gone = match there {
            // Its tag is another image's by now, or nobody's.
            Ok(false) => true,
            Ok(true) => {
                let current = Image::new(&Dist::of_checkout(checkout), base);
                if current.is_ok_and(|image| image.tag() == tag) {
                    summary.tell(format_args!("{place}: kept image {tag}, which is up to date"));
                    false
                } else {
                    let remove = || remove(engine, tag, interrupt);
                    summary.remove(place, format_args!("image {tag}"), remove)
                }
            }
            Err(error) => {
                summary.fail(format_args!("{place}: {error}"));
                false
            }
        };
        if !is_gone {
            left.push(entry.clone());
        }
    }
    left
}

/// The id of the image that has a tag; `None` where none has.
fn has(
    engine: &EngineAt,
    tag: &str,
    interrupt: &Interrupt,
) -> Result<Option<Name<Id>>, EngineError> {
    let inspect = ["image", "inspect", "--format", image::FORMAT, tag];
    let there = client(engine, inspect).run(interrupt)?;
    if there.succeeded() {
        return Ok(image::id(&there));
    }
    // That it is not found counts only where the engine answers.
    let ls = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
    let listed = client(engine, ls).run(interrupt)?;
    let is_it = |line: Untrusted| line.strip_prefix("localhost/").unwrap_or(line) == *tag;
    if !listed.succeeded() || listed.text().lines().any(is_it) {
        let what = format!("whether image {tag} is there is not known");
        return Err(failed(what, there).into());
    }
    Ok(None)
}

/// Takes the tag away, and the image where it has no other.
fn remove(engine: &EngineAt, tag: &str, interrupt: &Interrupt) -> Result<(), EngineError> {
    let removed = client(engine, ["image", "rm", tag]).run(interrupt)?;
    if removed.succeeded() {
        return Ok(());
    }
    Err(failed("it is out of date, and could not be removed", removed).into())
}
