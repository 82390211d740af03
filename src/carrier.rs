//! What a client's first request decided about how its packets are written, for as long as the session lives.

/// How packets are written for one client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carrier {
    /// The revision of Engine.IO that the client speaks.
    pub revision: Revision,
    /// Whether a WebSocket frame may be binary; a client that can't asked for base64 (`b64`).
    pub binary: bool,
}

/// A revision of Engine.IO, the `EIO` of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revision {
    /// Socket.IO 1 and 2.
    V3,
    /// Socket.IO 3 and 4.
    V4,
}

/// What is spoken on a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Engine.IO, revision 4.
    EngineIo,
    /// Whatever the application makes of it.
    WebSocket,
    /// Many sessions at once (`docs/mux.md`).
    Mux,
}
