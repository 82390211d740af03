//! A route's settings for Engine.IO.

use crate::revision::Versions;

/// Which clients a route accepts, and how they are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The revisions that may begin sessions.
    pub versions: Versions,
    /// Whether clients of revision 3 are Socket.IO 1's, whose polls can't be told apart otherwise.
    pub utf8_twice: bool,
    /// Whether responses to polls set a cookie with the session's id.
    pub cookie: Cookie,
}

impl Default for Settings {
    fn default() -> Self {
        Self { versions: Versions::ALL, utf8_twice: false, cookie: Cookie::default() }
    }
}

/// Whether responses to polls set the cookie `io` with the session's id, for load balancers in front.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Cookie {
    /// If the client's own server would by default: for clients of revision 3 with a backend that speaks only that.
    #[default]
    Auto,
    /// For every polling client.
    On,
    /// Never.
    Off,
}
