//! The terms of a receiver: a poll, whose budget is one batch, or a stream, which takes one batch after another.

use std::time::Duration;

use crate::packet::Packet;

/// The terms of a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The number up to which its client has received all messages, if it says so.
    pub after: Option<u64>,
    /// How long it waits at most; `None` means until there is something.
    pub wait: Option<Duration>,
    /// The most messages that it accepts.
    pub messages: usize,
    /// The most bytes that it accepts; a single longer message is accepted too.
    pub bytes: usize,
    /// The number of bytes after which a stream ends. If unset, the stream has no limit if messages count as delivered
    /// once written; if its client acknowledges them with the next receiver, the limit is a quarter of `outbox_max`.
    pub budget: Option<usize>,
    /// How many bytes each byte of a packet, measured as [`Policy::encoded_len`](super::Policy::encoded_len) does, may become
    /// in its client's framing.
    pub growth: u8,
    /// Whether it is sent pings while there is nothing else for it.
    pub beats: bool,
    /// Whether its client is connected to another node. If that node dies, a load balancer may ask again before the end
    /// of the first receiver was read here.
    pub by_peer: bool,
    /// Whether it has waited for such a receiver before it, and waits no longer.
    pub insists: bool,
}

impl Default for Terms {
    /// Waits until there is something, and accepts all of it.
    fn default() -> Self {
        Self {
            after: None,
            wait: None,
            messages: usize::MAX,
            bytes: usize::MAX,
            budget: None,
            growth: 1,
            beats: true,
            by_peer: false,
            insists: false,
        }
    }
}

/// What a parked receiver still accepts: the part of its terms that a session keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiverRoom {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) growth: u8,
    pub(super) beats: bool,
    pub(super) by_peer: bool,
}

impl From<Terms> for ReceiverRoom {
    fn from(terms: Terms) -> Self {
        let Terms { messages, bytes, growth, beats, by_peer, .. } = terms;
        Self { messages, bytes, growth, beats, by_peer }
    }
}

impl ReceiverRoom {
    /// Counts a batch. Returns whether the receiver accepts more.
    pub(super) fn take(&mut self, batch: &[Packet], encoded_len: fn(&Packet) -> usize) -> bool {
        let messages = batch.iter().filter(|packet| matches!(packet, Packet::Message(_))).count();
        self.messages = self.messages.saturating_sub(messages);
        // Most receivers have no limit, for which nothing needs to be measured.
        if self.bytes != usize::MAX {
            self.bytes = self.bytes.saturating_sub(batch.iter().map(encoded_len).sum());
        }
        self.messages > 0 && self.bytes > 0
    }
}
