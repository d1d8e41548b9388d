//! What the test programs of this workspace share. The other packages depend on it for their tests alone.
#![forbid(unsafe_code)]

pub mod effort;
pub mod isolation;
pub mod programs;
pub mod scratch;
pub mod tools;
pub mod wait;

pub use effort::Effort;
pub use isolation::Trial;
