//! The outputs for both sides: in order, and with attachments directly after their header.

use std::collections::VecDeque;

use super::bounded_queue::BoundedQueue;
use super::output::{Fault, Out, Peer};
use crate::packet::Message;

/// What becomes of a packet, and of its attachments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Fate {
    /// It is passed to the other side unchanged.
    #[default]
    Pass,
    /// It is not for the other side, or was translated.
    Drop,
    /// It is kept for later.
    Hold,
}

/// The outputs for both sides.
#[derive(Debug)]
pub(super) struct Wires {
    out: VecDeque<Out>,
    from_client: Direction,
    from_backend: Direction,
}

/// One direction.
#[derive(Debug)]
struct Direction {
    /// Attachments that are still to come, and what becomes of them.
    owed: u32,
    fate: Fate,
    /// Packets of ours that would have come between a header and its attachments.
    waiting: BoundedQueue,
}

impl Wires {
    pub(super) const fn new() -> Self {
        Self { out: VecDeque::new(), from_client: Direction::new(), from_backend: Direction::new() }
    }

    /// Sends a packet of ours as soon as no attachment is outstanding.
    pub(super) fn send(&mut self, to: Peer, message: Message) -> Result<(), Fault> {
        let direction = self.direction(to.other());
        if direction.owed > 0 && direction.fate == Fate::Pass {
            return if direction.waiting.push(message) { Ok(()) } else { Err(Fault::TooMuch) };
        }
        self.push(to.out(message));
        Ok(())
    }

    /// Outputs something at once.
    pub(super) fn push(&mut self, out: Out) {
        self.out.push_back(out);
    }

    pub(super) fn pop(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// Returns whether attachments of this side are outstanding.
    pub(super) fn expects_attachments(&mut self, from: Peer) -> bool {
        self.direction(from).owed > 0
    }

    /// Notes a packet's header, and what becomes of its attachments.
    pub(super) fn expect_attachments(&mut self, from: Peer, attachments: u32, fate: Fate) {
        let direction = self.direction(from);
        (direction.owed, direction.fate) = (attachments, fate);
    }

    /// Handles an attachment; returns what becomes of it, if it was owed.
    pub(super) fn take_attachment(&mut self, from: Peer) -> Option<Fate> {
        let direction = self.direction(from);
        direction.owed = direction.owed.checked_sub(1)?;
        Some(direction.fate)
    }

    /// Releases what was held: attachments that are still to come follow their header.
    pub(super) fn release(&mut self, from: Peer, fate: Fate) {
        let direction = self.direction(from);
        if direction.fate == Fate::Hold {
            direction.fate = fate;
        }
    }

    /// Sends what waited, if no attachment is outstanding any more.
    pub(super) fn settle(&mut self, from: Peer) {
        let direction = self.direction(from);
        if direction.owed == 0 {
            let waiting = direction.waiting.take();
            self.out.extend(waiting.into_iter().map(|message| from.other().out(message)));
        }
    }

    const fn direction(&mut self, from: Peer) -> &mut Direction {
        match from {
            Peer::Client => &mut self.from_client,
            Peer::Backend => &mut self.from_backend,
        }
    }
}

impl Direction {
    const fn new() -> Self {
        Self { owed: 0, fate: Fate::Pass, waiting: BoundedQueue::new(WAITING_BYTES_MAX) }
    }
}

/// How much of ours may wait behind attachments: more than is ever held for a client at once.
const WAITING_BYTES_MAX: usize = 512 * 1024;
