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
    /// The maximum of tunnels: connections of forwarded requests that have switched protocols.
    pub max_tunnels: usize,
    /// The maximum of tunnels of one client.
    pub client_tunnels: usize,
    /// The maximum of forwarded requests of one client at once, those that wait in line included.
    pub client_requests: usize,
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

    /// A client may take one of so many parts of all connections and sessions: enough for the many users behind one
    /// address of a carrier.
    pub const SHARE: usize = 4;
    /// The same of the handshakes in a second. They are spread over time, so fewer are enough.
    pub const RATE_SHARE: usize = 20;

    /// Creates the settings that hold if none is written, beside this maximum of sessions.
    pub const fn beside(max_sessions: usize) -> Self {
        let connections = max_sessions.saturating_mul(CONNECTIONS_EACH);
        let max_connections = if connections < CONNECTIONS_MIN { CONNECTIONS_MIN } else { connections };
        Self {
            max_connections,
            client_connections: max_connections.div_ceil(Self::SHARE),
            client_sessions: max_sessions.div_ceil(Self::SHARE),
            max_tunnels: max_sessions,
            client_tunnels: max_sessions.div_ceil(Self::SHARE),
            client_requests: CLIENT_REQUESTS,
            handshakes_per_second: HANDSHAKES,
            client_handshakes_per_second: HANDSHAKES.div_ceil(Self::RATE_SHARE),
            count_private: false,
        }
    }
}

impl Default for Settings {
    /// Without limits.
    fn default() -> Self {
        Self {
            max_connections: Self::NONE,
            client_connections: Self::NONE,
            client_sessions: Self::NONE,
            max_tunnels: Self::NONE,
            client_tunnels: Self::NONE,
            client_requests: Self::NONE,
            handshakes_per_second: Self::NONE,
            client_handshakes_per_second: Self::NONE,
            count_private: false,
        }
    }
}

/// A polling client has two, one more while it upgrades, and some are kept alive by clients that have gone on.
const CONNECTIONS_EACH: usize = 4;
/// Few sessions leave room for the requests of clients that have none.
const CONNECTIONS_MIN: usize = 1000;
/// A quarter of what a route may have under way (`max_requests`) by default.
const CLIENT_REQUESTS: usize = 1000;
/// A small part of what one core can do, and ten seconds of it are `max_sessions` by default.
const HANDSHAKES: usize = 1000;
