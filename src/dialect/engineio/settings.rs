//! What a route says of Engine.IO.

use crate::revision::Versions;

/// Which clients a route takes, and how they are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The revisions that may begin sessions.
    pub versions: Versions,
    /// Whether clients of revision 3 are those of Socket.IO 1, whose polls nothing else tells apart.
    pub utf8_twice: bool,
    /// Whether answers to polls set a cookie with the session's id.
    pub cookie: Cookie,
}

impl Default for Settings {
    fn default() -> Self {
        Self { versions: Versions::ALL, utf8_twice: false, cookie: Cookie::default() }
    }
}

/// Whether answers to polls set the cookie `io` with the session's id, for balancers in front.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Cookie {
    /// Where the client's own server would, unless told otherwise: for clients of revision 3 before a backend that
    /// speaks nothing else.
    #[default]
    Auto,
    /// For every polling client.
    On,
    /// Never.
    Off,
}
