//! The two ways to write a frame, chosen by the WebSocket's subprotocol.

use bytes::Bytes;

use super::frame::{Frame, Malformed};
use super::{binary, json};
use crate::packet::Message;

/// How frames are written on one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Binary messages.
    Binary,
    /// Text messages.
    Json,
}

/// A frame as a message of the shared WebSocket.
pub type Written = Message;

impl Profile {
    /// Every variant, the preferred one first.
    pub const ALL: &[Self] = &[Self::Binary, Self::Json];

    /// Returns the name of the subprotocol.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Binary => "polliwog.mux.v1",
            Self::Json => "polliwog.mux.v1.json",
        }
    }

    /// Returns the profile of this subprotocol.
    pub fn named(subprotocol: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|profile| profile.subprotocol() == subprotocol)
    }

    /// Writes a frame.
    pub fn encode(self, frame: &Frame) -> Written {
        match self {
            Self::Binary => Message::Binary(Bytes::from(binary::encode(frame))),
            Self::Json => Message::text(json::encode(frame)),
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// It is malformed, or written in the other profile.
    pub fn decode(self, written: Written) -> Result<Frame, Malformed> {
        match (self, written) {
            (Self::Binary, Message::Binary(bytes)) => binary::decode(bytes),
            (Self::Json, Message::Text(text)) => json::decode(text.as_str()),
            (Self::Binary, Message::Text(_)) => Err(Malformed("a text message in the binary profile")),
            (Self::Json, Message::Binary(_)) => Err(Malformed("a binary message in the JSON profile")),
        }
    }
}
