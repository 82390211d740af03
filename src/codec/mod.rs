//! Bytes to words and back, without I/O: what fronts and backs both need.

pub(crate) mod base64;
pub mod engineio;
pub mod frames;
