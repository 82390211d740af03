//! The events that the application sees of its sessions.

/// An event of the application's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// An Engine.IO pong, or a WebSocket one from a plain client.
    Pong,
    /// The reference server's application echoes messages from now on.
    Echoing,
    /// The session's end, with the code of the close frame, or 1006 without one.
    Closed(u16),
}
