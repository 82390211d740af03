//! Joins a session's two sides: the client's polls, POSTs and WebSocket in front, the link behind.
//!
//! Transports hold a [`Bridge`] as the handle. Behind it a driver owns the session, the link and the client's socket. A
//! caller that has input for the session drives it in place, under a short lock; a task drives it when the link, a
//! socket or the clock has some. All I/O is polled with the task's waker, even from a request, so that no wake-up is
//! lost when the request is dropped. The [`Registry`] finds a bridge by its session's route and id.

mod admission;
mod burden;
mod clock;
mod closing_line;
mod delivery;
mod driver;
mod elsewhere;
mod entry;
mod events;
mod handle;
mod info;
mod key;
mod name;
mod newcomers;
mod owner;
mod parting;
mod places;
mod poll;
mod polls;
mod push;
mod queue;
mod registry;
mod relief;
mod sight;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod wishes;

pub use admission::Admission;
pub use burden::Burden;
pub use closing_line::log_end;
pub use delivery::Delivery;
pub use entry::{Entry, RelayHandle};
pub use handle::{Bridge, Front};
pub use info::{BridgeInfo, RouteInfo, span_of};
pub use owner::Owner;
pub use poll::{ParkedPoll, ReceiverRefused};
pub use push::Push;
pub use registry::{Located, Registry, Reservation};
pub use sight::Sight;
pub use socket::{ClientSocket, SocketBroken, SocketEnd, close_refused, turn_away};
pub use stream::ParkedStream;
pub use wishes::Wishes;
