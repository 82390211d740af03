//! A connection to an address, before its first use.

use crate::duplex::Duplex;
use crate::upstream::address::Place;
use crate::upstream::deadline::Deadline;
use crate::upstream::target::Target;

/// A connection to one of an upstream's addresses.
#[derive(Debug)]
pub(in crate::upstream) struct Reached<'d> {
    pub(super) stream: Duplex,
    pub(super) target: &'d Target,
    /// Counts it as long as it is in use.
    pub(super) place: Place,
    /// Until when the handshake must be complete.
    pub(in crate::upstream) deadline: Deadline,
}

impl<'d> Reached<'d> {
    /// Returns a stream that counts as a use of its address until it is dropped, and its target.
    pub(in crate::upstream) fn in_use(self) -> (Duplex, &'d Target) {
        (self.stream.with_companion(Box::new(self.place)), self.target)
    }
}
