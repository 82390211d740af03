//! Waiting messages, in order and bounded.

use std::collections::VecDeque;

use crate::packet::Message;

/// A bounded queue of messages.
#[derive(Debug)]
pub(super) struct BoundedQueue {
    messages: VecDeque<Message>,
    bytes: usize,
    bytes_max: usize,
}

impl BoundedQueue {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { messages: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Takes a message, if there is room.
    pub(super) fn push(&mut self, message: Message) -> bool {
        let bytes = self.bytes + cost(&message);
        let fits = bytes <= self.bytes_max;
        if fits {
            self.bytes = bytes;
            self.messages.push_back(message);
        }
        fits
    }

    /// Drops the newest messages, keeping `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.messages.len() > len {
            self.bytes -= self.messages.pop_back().map_or(0, |message| cost(&message));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns all messages, oldest first.
    pub(super) fn take(&mut self) -> VecDeque<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}

/// Empty messages have a cost too.
const fn cost(message: &Message) -> usize {
    message.len() + 64
}
