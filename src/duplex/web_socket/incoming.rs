//! What arrives on a WebSocket, and why nothing more can be read.

use bytes::Bytes;
use thiserror::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::packet::Message;

/// What arrives on a WebSocket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// A message.
    Message(Message),
    /// A ping, which is answered.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
    /// The peer's Close frame, which is answered. Nothing follows.
    Close(Option<CloseFrame>),
}

/// Why nothing more can be read.
#[derive(Clone, Copy, PartialEq, Eq, Error, Debug)]
pub enum Fault {
    /// The connection broke, or ended without a Close frame.
    #[error("the connection ended without a Close frame")]
    Lost,
    /// The peer read nothing for too long, while something waited for it.
    #[error("the peer reads nothing")]
    Stalled,
    /// The peer sent what it may not send.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// What a peer may not send.
#[derive(Clone, Copy, PartialEq, Eq, Error, Debug)]
pub enum Violation {
    /// A frame that the protocol does not allow.
    #[error("not a WebSocket frame")]
    Protocol,
    /// A message over the limit.
    #[error("a message is too large")]
    TooLarge,
    /// A text message, or the reason of a Close frame, that is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A compressed message that can't be inflated.
    #[error("a compressed message is malformed")]
    Malformed,
}

impl Violation {
    /// Returns the code that tells the peer (section 7.4.1).
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Protocol => CloseCode::Protocol,
            Self::TooLarge => CloseCode::Size,
            Self::NotUtf8 | Self::Malformed => CloseCode::Invalid,
        }
    }
}
