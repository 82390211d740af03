//! The root namespace between a new client and an old backend, which grants it before it is asked for.

use std::collections::VecDeque;

use super::shelf::Shelf;
use super::wires::Fate;
use crate::packet::Message;

/// What both sides think of the root.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) backend: Backend,
    pub(super) client: Client,
    pub(super) held: Held,
}

/// What the backend has said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Backend {
    /// Nothing yet.
    Silent,
    /// The root is granted.
    Granted,
    /// The root is refused.
    Refused,
    /// The root was granted, and taken away again before the client asked for it.
    Withdrawn,
    /// One of both has left the root, and the other knows.
    Left,
}

/// What the client has asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Client {
    /// Nothing yet, or it was answered with no.
    Away,
    /// It waits for the backend, which has not seen this query yet.
    Asking { untried: String },
    /// It has been told that the root is granted.
    Connected,
}

impl Root {
    pub(super) const fn new() -> Self {
        Self { backend: Backend::Silent, client: Client::Away, held: Held::new() }
    }

    /// Handles the client's disconnect from the root. Whether it was connected.
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
    messages: Shelf,
    /// Where the newest packet begins.
    head: usize,
    full: bool,
}

impl Held {
    const fn new() -> Self {
        Self { messages: Shelf::new(HELD_BYTES_MAX), head: 0, full: false }
    }

    /// Handles a packet, which may have attachments.
    fn begin(&mut self) -> Fate {
        self.head = self.messages.len();
        if self.full { Fate::Drop } else { Fate::Hold }
    }

    /// A part of that packet comes: it is kept as a whole, or not at all.
    pub(super) fn push(&mut self, message: Message) {
        self.full = self.full || !self.messages.push(message);
        if self.full {
            self.messages.truncate(self.head);
        }
    }

    /// Hands out all of it, with the fate of what is still to come of the newest packet.
    pub(super) fn take(&mut self) -> (VecDeque<Message>, Fate) {
        let rest = if self.full { Fate::Drop } else { Fate::Pass };
        (self.messages.take(), rest)
    }
}

const HELD_BYTES_MAX: usize = 64 * 1024;
