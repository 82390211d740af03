//! Bytes to words and back, without I/O: what fronts and backs both need.

pub mod engineio;
pub mod frames;
