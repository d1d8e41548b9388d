//! A fact, or the reason why it could not be read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fact, or the reason why it could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reading<T> {
    /// The fact could not be read.
    NotRead {
        /// The reason.
        not_read: String,
    },
    /// The fact.
    Read(T),
}

impl<T, E: fmt::Display> From<Result<T, E>> for Reading<T> {
    fn from(answer: Result<T, E>) -> Self {
        match answer {
            Ok(fact) => Self::Read(fact),
            Err(error) => Self::NotRead { not_read: error.to_string() },
        }
    }
}

impl<T> Reading<T> {
    /// Returns the fact, or `None` if it could not be read.
    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(fact) => Some(fact),
            Self::NotRead { .. } => None,
        }
    }
}
