//! The reference model: what was sent and what was received, in each direction.

use super::super::*;

/// The numbers of messages, in the order in which they passed.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What the session was given for the client.
    pub(super) fed: Vec<u32>,
    /// What the client's connection received.
    pub(super) got: Vec<u32>,
    /// What the client sent while the session had to read it.
    pub(super) said: Vec<u32>,
    /// What the link accepted.
    pub(super) taken: Vec<u32>,
}

impl Ledger {
    /// Checks that nothing is lost, duplicated or reordered: each side has received a prefix of what the other sent.
    pub(super) fn check(&self) {
        assert!(self.fed.starts_with(&self.got), "sent {:?}, but the client got {:?}", self.fed, self.got);
        assert!(
            self.said.starts_with(&self.taken),
            "said {:?}, but the link took {:?}",
            self.said,
            self.taken
        );
    }
}

/// Returns a message that contains its number and has about this length.
pub(super) fn numbered(number: u32, len: usize) -> Message {
    Message::text(format!("{number:<len$}"))
}

pub(super) fn number(message: &Message) -> u32 {
    match message {
        Message::Text(text) => text.as_str().trim_end().parse().unwrap(),
        Message::Binary(_) => panic!("what is binary becomes text"),
    }
}

/// Returns the same message as bytes, as some backends send text.
pub(super) fn binary(message: Message) -> Message {
    match message {
        Message::Text(text) => Message::Binary(text.into_bytes()),
        binary @ Message::Binary(_) => binary,
    }
}

/// Returns the number of a message from the backend, or `None` if it cannot be text.
pub(super) fn number_of_any(message: &Message) -> Option<u32> {
    match message {
        Message::Text(_) => Some(number(message)),
        Message::Binary(bytes) => std::str::from_utf8(bytes).ok()?.trim_end().parse().ok(),
    }
}

/// Returns the numbers of the messages in a batch.
pub(super) fn numbers(batch: &[Packet]) -> impl Iterator<Item = u32> {
    batch.iter().filter_map(|packet| match packet {
        Packet::Message(message) => Some(number(message)),
        Packet::Open(_)
        | Packet::Close(_)
        | Packet::Ping(_)
        | Packet::Pong(_)
        | Packet::Upgrade
        | Packet::Noop => None,
    })
}
