//! Creating an object, or opening the existing one.

use crate::{Errno, Result};

/// Whether a call opened or created memory or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It existed before the call.
    Opened,
    /// The call created it.
    Created,
}

/// Creates an object; opens an existing one, unless `create_new` is set.
pub(crate) fn create_or_open<T>(
    create_new: bool,
    create: impl Fn() -> Result<T>,
    open: impl Fn() -> Result<T>,
) -> Result<(T, Origin)> {
    loop {
        match create() {
            Ok(new) => return Ok((new, Origin::Created)),
            Err(error) if error.errno() == Some(Errno::EEXIST) && !create_new => {}
            Err(error) => return Err(error),
        }
        match open() {
            Ok(existing) => return Ok((existing, Origin::Opened)),
            // Another process removed it between the two calls.
            Err(error) if error.errno() == Some(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
}
