//! The report of a failure.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use shm_core::{Errno, Error, Key};

use crate::Diagnosis;
use crate::diagnosis::missing_page;

/// What failed, the cause, and the next step. `Display` prints a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
    call: Option<&'static str>,
    errno: Option<Errno>,
    diagnosis: Option<Diagnosis>,
}

impl Failure {
    /// Creates the report of a failure that is not an [`Error`].
    pub fn new(
        message: impl Into<String>,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let diagnosis = Some(Diagnosis::new(cause, hint));
        Self { message: message.into(), call: None, errno: None, diagnosis }
    }

    /// Creates the report of a SIGBUS: the kernel has no page for an access to the segment.
    #[must_use]
    pub fn missing_page(key: Key) -> Self {
        let Diagnosis { cause, hint } = missing_page("SIGBUS");
        Self::new(format!("a page of the segment with key {key} is not available"), cause, hint)
    }

    /// Appends the consequences of the failure to the message.
    #[must_use]
    pub fn leaving(mut self, what: &str) -> Self {
        self.message += what;
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            message: error.to_string(),
            call: error.call(),
            errno: error.errno(),
            diagnosis: Diagnosis::of(&error),
        }
    }
}

impl From<shm_frame::Error> for Failure {
    fn from(error: shm_frame::Error) -> Self {
        match &error {
            shm_frame::Error::Frame { key, error } => Self {
                message: error.to_string(),
                call: None,
                errno: None,
                diagnosis: Some(Diagnosis::of_frame(*key, error)),
            },
            shm_frame::Error::Call(error) => error.clone().into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(Diagnosis { cause, hint }) = &self.diagnosis {
            write!(f, "\ncause: {cause}\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let diagnosis = self.diagnosis.as_ref();
        let mut fields = serializer.serialize_struct("Failure", 6)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("call", &self.call)?;
        fields.serialize_field("errno", &self.errno.map(Errno::raw))?;
        fields.serialize_field("errno_name", &self.errno.and_then(Errno::name))?;
        fields.serialize_field("cause", &diagnosis.map(|diagnosis| &diagnosis.cause))?;
        fields.serialize_field("hint", &diagnosis.map(|diagnosis| &diagnosis.hint))?;
        fields.end()
    }
}
