//! Joins a session's two sides: the client's polls, POSTs and WebSocket in front, the link behind.
//!
//! [`Bridge`] is the handle that transports hold. Behind it a driver owns the session, the link and
//! the client's socket; whoever has something for the session drives it right there, under a short lock, and a task
//! does so when the link, a socket or the clock has. All I/O is polled with the task's waker, whoever polls, so that
//! no wake-up is lost when a request is dropped half-way. The [`Registry`] finds a bridge by its session's id.

mod delivery;
mod driver;
mod events;
mod handle;
mod registry;
mod socket;

pub use delivery::Delivery;
pub use handle::{Bridge, BridgeInfo, Front, ParkedPoll, Push, turn_away};
pub use registry::{Admission, Entry, Registry, RelayHandle};
pub use socket::{ClientSocket, SocketBroken, SocketEnd};
