//! What a route decides about its sessions, taken once when a session begins.

use std::time::Duration;

/// The part of `[defaults]` and of a route that a session lives by. Sizes are bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// From a pong to the next ping; the backend's own where it announces one, else 25 s.
    pub ping_interval: Option<Duration>,
    /// From a ping to the moment when its pong is overdue; the backend's own where it announces one, else 20 s.
    pub ping_timeout: Option<Duration>,
    /// The largest POST body and WebSocket message of a client; the backend's own where it announces one, else 1 MB. A
    /// relayed WebSocket, of which nothing is kept, has no limit where neither sets one.
    pub max_payload: Option<usize>,
    /// How much may wait for a client before its backend is no longer read.
    pub outbox_max: usize,
    /// Where the answer to one poll is cut; a larger single message goes alone.
    pub batch_max: usize,
    /// How long a poll that follows a POST is held, so that it brings back all the echoes; zero turns it off.
    pub linger: Duration,
    /// How long a client or a backend that takes nothing may hold up the other, in a session and in whatever else is
    /// relayed, tunnelled or forwarded.
    pub stall_timeout: Duration,
    /// From a probe's connection to its `upgrade` packet.
    pub upgrade_timeout: Duration,
    /// How long a closed session waits for its client to fetch what is left, and a relayed one for its other end.
    pub close_timeout: Duration,
    /// Whether polling clients are offered WebSocket.
    pub allow_upgrades: bool,
    /// Whether a WebSocket is left to its two ends where both speak the same; else its packets pass through a session,
    /// and its heartbeat is the proxy's.
    pub relay: bool,
    /// Who may use a session besides who began it.
    pub bind: Bind,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ping_interval: None,
            ping_timeout: None,
            max_payload: None,
            outbox_max: 1_000_000,
            batch_max: 1_000_000,
            linger: Duration::from_millis(3),
            stall_timeout: Duration::from_mins(1),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            allow_upgrades: true,
            relay: true,
            bind: Bind::None,
        }
    }
}

/// What binds a session to who began it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bind {
    /// Its id alone.
    None,
    /// The client's address.
    Address,
    /// The cookies of its first request.
    Cookie,
}
