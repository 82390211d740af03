//! What a route says of SockJS.

use std::time::Duration;

/// What a route says of SockJS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Whether clients are told that they may use WebSocket.
    pub websocket: bool,
    /// Whether a balancer in front needs the cookie `JSESSIONID`.
    pub cookie_needed: bool,
    /// Where the iframe of old browsers finds the client library. `None`: there is no iframe, since which copy of a
    /// library a page runs is its operator's to say.
    pub client_url: Option<String>,
    /// Where clients find the transports, if not here.
    pub base_url: Option<String>,
    /// After how much a stream ends, in units of UTF-16; its client comes back.
    pub response_limit: usize,
    /// How often a client is shown that its receiver lives.
    pub heartbeat: Duration,
    /// How long a client may be without a receiver.
    pub disconnect_delay: Duration,
    /// Whether clients may poll by script tags, and send by forms.
    pub jsonp: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            websocket: true,
            cookie_needed: false,
            client_url: None,
            base_url: None,
            response_limit: 128 << 10,
            heartbeat: Duration::from_secs(25),
            disconnect_delay: Duration::from_secs(5),
            jsonp: true,
        }
    }
}
