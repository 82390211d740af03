//! What one WebSocket message holds on the wire, and what is no packet at all.

use bytes::Bytes;

/// One packet as one WebSocket message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// UTF-8, by construction.
    Text(Bytes),
    /// The bytes of a binary message, unchanged.
    Binary(Bytes),
}

/// Bytes that no packet looks like. The session ends: a peer that is out of step can't be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a packet")]
pub struct Malformed;
