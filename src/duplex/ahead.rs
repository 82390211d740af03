//! What an HTTP/2 connection has taken ahead, in both directions.

use super::read_ahead::ReadAhead;
use super::written_ahead::WrittenAhead;
use crate::budget::Charge;

/// The counts of what hyper has taken ahead on one connection. Clones share them.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// Of requests.
    pub read: ReadAhead,
    /// Of byte streams, and of the headers of responses, for the client.
    pub written: WrittenAhead,
}

impl Ahead {
    /// Creates the counts of a connection that lets clients send `max` bytes ahead.
    pub fn new(charge: Charge, max: usize) -> Self {
        let written = WrittenAhead::new(charge.another());
        Self { read: ReadAhead::new(charge, max), written }
    }
}
