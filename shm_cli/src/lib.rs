//! The common code of the command line tools: the arguments for an address, the causes of errors
//! with the next steps, forms of output, and the transfer of long texts.
#![forbid(unsafe_code)]

pub mod access;
pub mod address;
pub mod checksum;
pub mod diagnosis;
pub mod failure;
pub mod memory_limit;
pub mod mounts;
pub mod outcome;
pub mod process;
pub mod progress;
pub mod start;
pub mod text;
pub mod transfer;

pub use address::{AddressArgs, DEFAULT_KEY};
pub use checksum::Checksum;
pub use diagnosis::Diagnosis;
pub use failure::{Failure, ToolError};
