//! The root namespace between a new client and an old backend, which grants it without a request.

use std::collections::VecDeque;

use super::bounded_queue::BoundedQueue;
use super::wires::Fate;
use crate::packet::Message;

/// The state of the root on both sides.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) backend: Backend,
    pub(super) client: Client,
    pub(super) held: Held,
}

/// What the backend has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Backend {
    /// Nothing yet.
    Silent,
    /// The root is granted.
    Granted,
    /// The root is refused.
    Refused,
    /// The root was granted, and disconnected before the client requested it.
    Withdrawn,
    /// One side has disconnected from the root, and the other knows.
    Left,
}

/// What the client has requested.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Client {
    /// Nothing yet, or it was refused.
    Away,
    /// It waits for the backend, which has not seen this query yet.
    Asking { untried: String },
    /// It knows that the root is granted.
    Connected,
}

impl Root {
    pub(super) const fn new() -> Self {
        Self { backend: Backend::Silent, client: Client::Away, held: Held::new() }
    }

    /// Handles the client's disconnect from the root. Returns whether it was connected.
    pub(super) fn leave(&mut self) -> bool {
        let was_connected = self.client == Client::Connected;
        if was_connected {
            (self.backend, self.client) = (Backend::Left, Client::Away);
        }
        was_connected
    }

    /// Handles the backend's disconnect from the root.
    pub(super) fn withdraw(&mut self) -> Fate {
        if self.leave() {
            return Fate::Pass;
        }
        if self.backend == Backend::Granted {
            self.backend = Backend::Withdrawn;
        }
        Fate::Drop
    }

    /// Handles an event or an ack of the backend.
    pub(super) fn event(&mut self) -> Fate {
        match self.backend {
            _ if self.client == Client::Connected => Fate::Pass,
            Backend::Silent | Backend::Granted => self.held.begin(),
            Backend::Refused | Backend::Withdrawn | Backend::Left => Fate::Drop,
        }
    }
}

/// What came for the root before the client asked for it: the first 64 KiB, which is what a backend sends to every
/// client that connects. What comes after that is lost, as is everything that a server sends before a client connects.
#[derive(Debug)]
pub(super) struct Held {
    messages: BoundedQueue,
    /// The position of the newest packet.
    head: usize,
    full: bool,
}

impl Held {
    const fn new() -> Self {
        Self { messages: BoundedQueue::new(HELD_BYTES_MAX), head: 0, full: false }
    }

    /// Handles a packet, which may have attachments.
    fn begin(&mut self) -> Fate {
        self.head = self.messages.len();
        if self.full { Fate::Drop } else { Fate::Hold }
    }

    /// Adds a part of that packet, which is kept as a whole or not at all.
    pub(super) fn push(&mut self, message: Message) {
        self.full = self.full || !self.messages.push(message);
        if self.full {
            self.messages.truncate(self.head);
        }
    }

    /// Returns everything, with what becomes of the parts of the newest packet that are still to come.
    pub(super) fn take(&mut self) -> (VecDeque<Message>, Fate) {
        let rest = if self.full { Fate::Drop } else { Fate::Pass };
        (self.messages.take(), rest)
    }
}

const HELD_BYTES_MAX: usize = 64 * 1024;
