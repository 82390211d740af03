//! The shared connection behind `docs/mux.md`, for both of its ends: the sessions of one epoch, and the WebSocket that
//! carries them at present.
//!
//! A [`Trunk`] outlives the connection: when a WebSocket breaks, the next one's [`Pump`] goes on where it ended. Upstreams
//! of kind `mux` dial it, routes of dialect `mux` accept it.

mod gathering;
mod pump;
mod shared;
#[cfg(test)]
mod tests;

pub use pump::{Ended, Pump, frame_max, read_hello};
pub(crate) use shared::Unopened;
pub use shared::{Over, Trunk};
