//! What a receiver wants: a poll, whose budget is one answer, or a stream, which takes one batch after another.

use std::time::Duration;

use crate::packet::Packet;

/// What a receiver wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Up to which message its client has everything, where it says so.
    pub after: Option<u64>,
    /// How long it waits, where it does not wait until there is something.
    pub wait: Option<Duration>,
    /// The most messages that it takes.
    pub messages: usize,
    /// The most bytes that it takes; one message that is longer it takes all the same.
    pub bytes: usize,
    /// After how many bytes a stream ends. Unset, it goes on where what is written has arrived; where its client has to come
    /// back to say so, it ends with a quarter of `outbox_max`.
    pub budget: Option<usize>,
    /// Whether it is given a ping where there is nothing else for it.
    pub beats: bool,
}

impl Default for Terms {
    /// It waits until there is something, and takes it.
    fn default() -> Self {
        Self { after: None, wait: None, messages: usize::MAX, bytes: usize::MAX, budget: None, beats: true }
    }
}

/// What a receiver that waits takes yet: all that a session keeps of its terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appetite {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) beats: bool,
}

impl From<Terms> for Appetite {
    fn from(terms: Terms) -> Self {
        Self { messages: terms.messages, bytes: terms.bytes, beats: terms.beats }
    }
}

impl Appetite {
    /// Takes a batch. Returns whether it takes more.
    pub(super) fn take(&mut self, batch: &[Packet], encoded_len: fn(&Packet) -> usize) -> bool {
        let messages = batch.iter().filter(|packet| matches!(packet, Packet::Message(_))).count();
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(batch.iter().map(encoded_len).sum());
        self.messages > 0 && self.bytes > 0
    }
}
