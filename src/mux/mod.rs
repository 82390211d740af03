//! Many sessions on one connection (`docs/mux.md`): the frames, and the state of each side, so that nothing is lost.
//! Pure: no I/O, no clock.
//!
//! A [`Frame`] is one message of the shared WebSocket, written in one of two [`Profile`]s. A [`Line`] is one side of an
//! epoch: its sessions, their credit, and what must be sent again after a break.

mod binary;
mod ends;
mod frame;
mod hear;
mod json;
mod line;
mod parts;
mod profile;
mod stream;
mod sync;
#[cfg(test)]
mod tests;

pub use frame::{Accepted, Ack, ById, Denied, Frame, Held, Hello, Id, Malformed, Open, Violation};
pub use line::{Event, Line, Notice, Side};
pub use profile::{Profile, Written};
