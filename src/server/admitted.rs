//! A connection that was let in, and what it counts for.

use crate::address::RemoteAddress;
use crate::duplex::{Companion, Duplex};
use crate::limits::{HeldConnection, Limits};
use crate::networks::Networks;

/// A connection that there is room for.
#[derive(Debug)]
pub(super) struct Admitted {
    limits: Limits,
    held: HeldConnection,
}

impl Admitted {
    /// Lets a connection in whose client is not known yet; `None` if there are too many.
    pub(super) fn new(limits: &Limits) -> Option<Self> {
        limits.connect().map(|held| Self { limits: limits.clone(), held })
    }

    /// Counts it for its client; `None` if that may not come, or has too many.
    pub(super) fn identified(mut self, client: RemoteAddress, networks: &Networks) -> Option<Self> {
        if client.ip().is_some_and(|address| !networks.admit(Some(address))) {
            self.limits.note_denied(client);
            return None;
        }
        self.limits.connected(&mut self.held, client).is_ok().then_some(self)
    }

    /// Has it count until its stream is dropped, which may outlive the connection.
    pub(super) fn keep(self, stream: Duplex) -> Duplex {
        let held: Box<dyn Companion> = Box::new(self.held);
        stream.with_companion(held)
    }
}
