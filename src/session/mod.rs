//! Decides what happens to each packet: a state machine without I/O, clock or randomness.
//!
//! [`Session`] is the type to read first. It models one client: the packets that wait for it, whether it is alive, its
//! transport and any upgrade in progress, and how everything ends. Its driver calls a `handle_*` method for each input,
//! then empties [`Session::poll`], sends what [`Session::next_for_link`] and [`Session::next_for_socket`] return while
//! there is room, and calls again at [`Session::poll_timeout`]. Time is always passed in.

mod backend;
mod check;
mod ending;
mod inbox;
mod line;
mod moving;
mod outbox;
mod pace;
mod policy;
mod polling;
mod pulse;
mod rate;
mod receiver;
mod room;
mod settings;
mod settling;
mod shortage;
mod state;
#[cfg_attr(not(fuzzing), cfg(test))]
#[expect(clippy::unchecked_time_subtraction, reason = "a moment just before another")]
pub(crate) mod tests;
mod timers;
mod upgrade;

pub use crate::end::End;
pub use crate::packet::Transport;
pub use ending::Ending;
pub use inbox::Packets;
pub use line::{Joined, Line};
pub use moving::ProbeRefused;
pub use outbox::{CursorRefused, cost};
pub use policy::{Acks, Binary, HangUp, Liveness, Piggyback, Pinger, Policy, Pushes, Second};
pub use rate::Rate;
pub use receiver::Terms;
pub use settings::{Bind, Settings};
pub use state::{Event, PollRefused, PushOutcome, PushRefused, Session};
