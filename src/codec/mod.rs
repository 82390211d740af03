//! Wire formats, without I/O, for fronts and backs.

pub(crate) mod base64;
pub mod engineio;
pub mod frames;
