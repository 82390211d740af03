//! The reference model: what went in and what came out, in each direction.

use super::super::*;

/// Numbers of messages, in the order in which they passed.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What the session was given for the client.
    pub(super) fed: Vec<u32>,
    /// What the client's connection took.
    pub(super) got: Vec<u32>,
    /// What the client said, where the session had to listen.
    pub(super) said: Vec<u32>,
    /// What the link took.
    pub(super) taken: Vec<u32>,
}

impl Ledger {
    /// Nothing is lost, duplicated or out of order: each side has a beginning of what the other sent.
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

/// Returns a message that tells its number and has about this length.
pub(super) fn numbered(number: u32, len: usize) -> Message {
    Message::text(format!("{number:<len$}"))
}

pub(super) fn number(message: &Message) -> u32 {
    match message {
        Message::Text(text) => text.as_str().trim_end().parse().unwrap(),
        Message::Binary(_) => panic!("what is binary becomes text"),
    }
}

/// Returns the same as bytes, as a backend sends it that does not care.
pub(super) fn binary(message: Message) -> Message {
    match message {
        Message::Text(text) => Message::Binary(text.into_bytes()),
        binary @ Message::Binary(_) => binary,
    }
}

/// Returns the number of a message of the backend; none of one that can't be text.
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
