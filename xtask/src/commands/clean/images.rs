//! Removes images that runs built and that are out of date.

use crate::commands::clean::Summary;
use crate::commands::clean::engines::Engines;
use crate::commands::failure;
use crate::engine::EngineError;
use crate::engine::dist::Dist;
use crate::engine::docker::client::{client, failed};
use crate::engine::image::{self, Image};
use crate::process::interrupt::Interrupt;
use crate::process::ledger::{EngineAt, Entry};
use crate::process::name::{CheckedName, Id};
use crate::process::untrusted::Untrusted;

/// Removes the images that a ledger names and that differ from what their checkouts would build.
/// Returns the entries that remain.
pub(super) fn clean(entries: &[Entry], engines: &Engines<'_>, summary: &mut Summary) -> Vec<Entry> {
    let interrupt = engines.interrupt;
    let mut left = Vec::new();
    for entry in entries {
        let Entry::Image { engine, id, tag, base, checkout } = entry else { continue };
        let place = &engine.program;
        let there = engines
            .is_the_same(engine)
            .and_then(|()| image_id(engine, tag, interrupt))
            .map(|there| there.as_ref() == Some(id));
        let is_gone = match there {
            // The tag now names another image, or none.
            Ok(false) => true,
            Ok(true) => {
                let current = Image::new(&Dist::of_checkout(checkout), base);
                if current.is_ok_and(|image| image.tag() == tag) {
                    summary.report(format_args!("{place}: kept image {tag}, which is up to date"));
                    false
                } else {
                    let remove = || remove(engine, tag, interrupt);
                    summary.remove(place, format_args!("image {tag}"), remove)
                }
            }
            Err(error) => {
                let error = failure::with_next_step(engine.kind, error);
                summary.fail(format_args!("{place}: {}", failure::message(&error)));
                false
            }
        };
        if !is_gone {
            left.push(entry.clone());
        }
    }
    left
}

/// Returns the id of the image that has this tag, or `None` if there is none.
fn image_id(
    engine: &EngineAt,
    tag: &str,
    interrupt: &Interrupt,
) -> Result<Option<CheckedName<Id>>, EngineError> {
    let inspect = ["image", "inspect", "--format", image::FORMAT, tag];
    let there = client(engine, inspect).run(interrupt)?;
    if there.succeeded() {
        return Ok(image::id(&there));
    }
    // The image is missing only if the engine answers a listing without it.
    let ls = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
    let listed = client(engine, ls).run(interrupt)?;
    let has_tag = |line: Untrusted| line.strip_prefix("localhost/").unwrap_or(line) == *tag;
    if !listed.succeeded() || listed.text().lines().any(has_tag) {
        let what = format!("cannot find out whether image {tag} exists");
        return Err(failed(what, there).into());
    }
    Ok(None)
}

/// Removes the tag, and the image if it has no other tag.
fn remove(engine: &EngineAt, tag: &str, interrupt: &Interrupt) -> Result<(), EngineError> {
    let removed = client(engine, ["image", "rm", tag]).run(interrupt)?;
    if removed.succeeded() {
        return Ok(());
    }
    Err(failed("cannot remove this outdated image", removed).into())
}
