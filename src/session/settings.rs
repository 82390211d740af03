//! A route's settings for its sessions, fixed when a session begins.

use std::time::Duration;

use super::rate::Rate;

/// The part of `[defaults]` and of a route that concerns sessions. Sizes are in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The time from a pong to the next ping; if unset, the value that the backend announces, or else 25 s.
    pub ping_interval: Option<Duration>,
    /// The time from a ping until its pong is overdue; if unset, the value that the backend announces, or else 20 s.
    pub ping_timeout: Option<Duration>,
    /// The largest POST body and WebSocket message of a client; if unset, the value that the backend announces, or else
    /// 1 MB. A relayed WebSocket, which is not buffered, has no limit if neither sets one.
    pub max_payload: Option<usize>,
    /// How much may wait for a client before its backend is no longer read.
    pub outbox_max: usize,
    /// The largest response to one poll; a larger single message is sent alone.
    pub batch_max: usize,
    /// How long a poll after a POST is held, so that it returns all the echoes; zero disables this.
    pub linger: Duration,
    /// How long a client or a backend may stop reading before it is disconnected, in a session and in everything
    /// relayed, tunnelled or forwarded.
    pub stall_timeout: Duration,
    /// The time from a probe's connection to its `upgrade` packet.
    pub upgrade_timeout: Duration,
    /// How long a closed session waits for its client to fetch what is left, unless its dialect limits its client's
    /// absence; and a relayed one for its other side to end.
    pub close_timeout: Duration,
    /// Whether polling clients are offered WebSocket.
    pub allow_upgrades: bool,
    /// Whether a WebSocket is relayed if both sides speak the same protocol; otherwise its packets pass through a
    /// session, and its heartbeat is the proxy's.
    pub relay: bool,
    /// Which clients may use a session, besides knowing its id.
    pub bind: Bind,
    /// How fast a client may send messages; those that come faster wait, and it is not read meanwhile.
    pub rate: Rate,
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
            rate: Rate::default(),
        }
    }
}

/// What binds a session to the client that began it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bind {
    /// Its id alone.
    None,
    /// The client's address.
    Address,
    /// The cookies of its first request.
    Cookie,
}
