//! Protocols and their revisions, for clients, backends and other proxies.

/// A revision of Engine.IO, the `EIO` of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Revision {
    /// Socket.IO 1 and 2.
    V3,
    /// Socket.IO 3 and 4.
    V4,
}

/// A set of revisions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Versions {
    /// Revision 3.
    pub v3: bool,
    /// Revision 4.
    pub v4: bool,
}

impl Versions {
    /// Both.
    pub const ALL: Self = Self { v3: true, v4: true };

    /// Returns whether it includes this one.
    pub const fn has(self, revision: Revision) -> bool {
        match revision {
            Revision::V3 => self.v3,
            Revision::V4 => self.v4,
        }
    }

    /// Returns the revision for a peer without a preference.
    pub const fn newest(self) -> Revision {
        if self.v4 { Revision::V4 } else { Revision::V3 }
    }
}

impl Revision {
    /// Returns the other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V3 => Self::V4,
            Self::V4 => Self::V3,
        }
    }
}

/// The protocol on a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Engine.IO.
    EngineIo,
    /// The application's own.
    WebSocket,
    /// Many sessions at once (`docs/mux.md`).
    Mux,
}
