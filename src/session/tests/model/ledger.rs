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

/// A message that tells its number and has about this length.
pub(super) fn numbered(number: u32, len: usize) -> Message {
    Message::text(format!("{number:<len$}"))
}

pub(super) fn number(message: &Message) -> u32 {
    match message {
        Message::Text(text) => text.as_str().trim_end().parse().unwrap(),
        Message::Binary(_) => panic!("the world sends text only"),
    }
}

/// The numbers of the messages in a batch.
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
