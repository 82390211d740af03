//! The content of one WebSocket message, and malformed content.

use bytes::Bytes;

/// One packet as one WebSocket message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// Always valid UTF-8.
    Text(Bytes),
    /// The bytes of a binary message, unchanged.
    Binary(Bytes),
}

/// Bytes that are not a packet. The session ends, because a peer that is out of step can't be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a packet")]
pub struct Malformed;
