//! The marks on what a run makes: the id of the run, and the place of its [ledger](crate::process::ledger).
//!
//! Images inherit labels, and anybody can forge a mark. So a mark alone proves nothing: a thing is removed
//! only if a ledger names it *and* it carries the run's id.

use std::fmt;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

/// The label of containers, pods and objects of a cluster that holds the [`RunId`].
pub const RUN_LABEL: &str = "shm.experiment.run";
/// The label of a script's containers and pods, and the annotation of objects of a cluster, that holds
/// the path of the ledger.
pub const LEDGER_LABEL: &str = "shm.experiment.ledger";
/// The label, on every image that the Dockerfile makes, those in between included.
pub const IMAGE_LABEL: &str = "shm.experiment.image";
/// The label, on images that runs make for themselves, that holds the base.
pub const BASE_LABEL: &str = "shm.experiment.base";
/// The environment variable that holds the [`RunId`], in containers and in processes that a ledger names.
pub const RUN_VARIABLE: &str = "SHM_EXPERIMENT_RUN";

/// The id of one run: 128 random bits, as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunId(String);

impl RunId {
    /// An id that no other run has.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", u128::from_ne_bytes(random_bytes())))
    }

    /// The start of it, for names that people read.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let valid = text.len() == 32 && text.bytes().all(digit);
        if valid { Ok(Self(text)) } else { Err("a run's id is 32 hexadecimal digits") }
    }
}

/// A random number of the operating system.
#[must_use]
pub fn random_number() -> u64 {
    u64::from_ne_bytes(random_bytes())
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Only a kernel older than 3.17 has no such call, and no read of up to 256 bytes is cut short.
    let filled = getrandom(&mut bytes, GetRandomFlags::empty());
    assert_eq!(filled, Ok(N), "the kernel gives no random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::RunId;

    #[test]
    fn a_run_id_is_read_back_and_nothing_else_is_taken_for_one() {
        let id = RunId::random();
        assert_eq!(RunId::try_from(id.to_string()), Ok(id.clone()));
        assert_ne!(id, RunId::random());
        for wrong in ["", "0123456789", &id.to_string().to_uppercase(), &format!("{id}0")] {
            let wrong = wrong.to_owned();
            assert!(wrong == id.to_string() || RunId::try_from(wrong).is_err());
        }
    }
}
