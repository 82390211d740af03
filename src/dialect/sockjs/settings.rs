//! What a route says of SockJS.

/// What a route says of SockJS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Whether clients are told that they may use WebSocket.
    pub websocket: bool,
    /// Whether a balancer in front needs the cookie `JSESSIONID`.
    pub cookie_needed: bool,
    /// Where the iframe of old browsers finds the client library. `None`: there is no iframe, since which copy of a library a
    /// page runs is its operator's to say.
    pub client_url: Option<String>,
    /// Where clients find the transports, if not here.
    pub base_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { websocket: true, cookie_needed: false, client_url: None, base_url: None }
    }
}
