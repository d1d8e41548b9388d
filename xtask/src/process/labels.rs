//! The marks on what a run makes: the id of the run, and the place of its [ledger](crate::process::ledger).
//!
//! Images inherit labels, and anybody can forge a mark. So a mark alone proves nothing. A resource
//! is removed only if a ledger names it *and* it carries the run's id.

use std::fmt;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

/// The label of containers, pods and objects of a cluster that holds the [`RunId`].
pub const RUN_LABEL: &str = "shm.experiment.run";
/// The label of a script's containers and pods, and the annotation of objects of a cluster, that holds
/// the path of the ledger.
pub const LEDGER_LABEL: &str = "shm.experiment.ledger";
/// The label of all images that the Dockerfile builds, including intermediate images.
pub const IMAGE_LABEL: &str = "shm.experiment.image";
/// The label of images that runs build. It holds the base.
pub const BASE_LABEL: &str = "shm.experiment.base";
/// The environment variable that holds the [`RunId`], in containers and in processes that a ledger names.
pub const RUN_VARIABLE: &str = "SHM_EXPERIMENT_RUN";

/// The id of one run: 128 random bits, as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunId(String);

impl RunId {
    /// Returns a new random id.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", u128::from_ne_bytes(random_bytes())))
    }

    /// Returns the first ten digits, for names that people read.
    pub(crate) fn short(&self) -> &str {
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

/// Returns a random number from the kernel.
#[must_use]
pub fn random_number() -> u64 {
    u64::from_ne_bytes(random_bytes())
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // getrandom(2) exists since Linux 3.17 and returns requests of up to 256 bytes in full.
    let filled = getrandom(&mut bytes, GetRandomFlags::empty());
    assert_eq!(filled, Ok(N), "cannot get random bytes from the kernel");
    bytes
}

#[cfg(test)]
mod tests {
    use super::RunId;

    #[test]
    fn only_a_run_id_is_parsed_as_one() {
        let id = RunId::random();
        assert_eq!(RunId::try_from(id.to_string()), Ok(id.clone()));
        assert_ne!(id, RunId::random());
        for wrong in ["", "0123456789", &id.to_string().to_uppercase(), &format!("{id}0")] {
            let wrong = wrong.to_owned();
            assert!(wrong == id.to_string() || RunId::try_from(wrong).is_err());
        }
    }
}
