//! One budget of memory for everything that waits in buffers.
//!
//! A [`Budget`] counts bytes, and says what to do as it fills. Whatever holds a buffer holds a [`Charge`] beside it, a
//! session a [`Holding`] for all its own buffers together, and sets it to the buffer's size. That is one atomic addition
//! if the size has changed, and nothing otherwise.
//!
//! ```text
//!   0 %                                70 %    75 %        90 %     95 %  100 %
//!    |---------- every session reads -----------|           |         |      |
//!                                        |      |- who holds more than an equal share reads no more
//!               woken in small groups  <-|                  |- handshakes are refused
//!                                                                     |      |- the largest end, until here
//!                                                                     |<-----|
//! ```
//!
//! The levels are in `levels`, the count in `account`. Who ends is chosen by [`choose`]; the sessions' floor looks at them.

mod account;
mod choice;
mod levels;
mod settings;
#[cfg(test)]
mod tests;

pub use account::{Budget, Charge, Due, Holding, Leaving};
pub use choice::{Holder, choose};
pub use settings::MemoryMax;
