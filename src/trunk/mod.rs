//! The shared connection of `docs/mux.md`, for both of its sides: the sessions of one epoch, and the WebSocket that
//! currently carries them.
//!
//! A [`Trunk`] outlives the connection: when a WebSocket breaks, the [`Pump`] of the next one continues where it ended.
//! Upstreams of kind `mux` dial the connection, routes of dialect `mux` accept it.

mod gathering;
mod pump;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use gathering::Gathering;
pub use pump::{Ended, Pump, frame_max, read_hello};
pub(crate) use shared::{Answering, Unopened};
pub use shared::{Over, Trunk};
