//! What the application sees of its sessions.

/// What reaches the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// An Engine.IO pong, or a WebSocket one from a plain client.
    Pong,
    /// The reference server's application sends messages back from now on.
    Echoing,
    /// The session's end; the code of the close frame, 1006 where there was none.
    Closed(u16),
}
