//! What one client may take, and all together (`[limits]`).

/// What clients may take. [`NONE`](Self::NONE) is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The maximum of connections.
    pub max_connections: usize,
    /// The maximum of connections of one client.
    pub client_connections: usize,
    /// The maximum of sessions of one client.
    pub client_sessions: usize,
    /// How many sessions may begin in a second, once ten times as many have begun at once.
    pub handshakes_per_second: usize,
    /// The same for one client.
    pub client_handshakes_per_second: usize,
    /// Whether clients of private networks and Unix sockets are told apart by their addresses, although nobody is trusted
    /// to tell whose they are.
    pub count_private: bool,
}

impl Settings {
    /// No limit.
    pub const NONE: usize = usize::MAX;

    /// Creates the settings that hold if none is written, beside this maximum of sessions: a quarter of everything is
    /// enough for the many users behind one address of a carrier.
    pub const fn beside(max_sessions: usize) -> Self {
        let max_connections = max_sessions.saturating_mul(CONNECTIONS_EACH);
        Self {
            max_connections,
            client_connections: Self::share(max_connections),
            client_sessions: Self::share(max_sessions),
            handshakes_per_second: 1000,
            client_handshakes_per_second: 50,
            count_private: false,
        }
    }

    /// Returns how much of a limit one client may take.
    pub const fn share(limit: usize) -> usize {
        limit.div_ceil(4)
    }
}

impl Default for Settings {
    /// Without limits.
    fn default() -> Self {
        Self {
            max_connections: Self::NONE,
            client_connections: Self::NONE,
            client_sessions: Self::NONE,
            handshakes_per_second: Self::NONE,
            client_handshakes_per_second: Self::NONE,
            count_private: false,
        }
    }
}

/// A polling client has two, one more while it upgrades, and some are kept alive by clients that have gone on.
const CONNECTIONS_EACH: usize = 4;
