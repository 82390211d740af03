//! The settings of SockJS on one route.

use std::time::Duration;

use http::HeaderValue;

/// The settings of SockJS on one route.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct Settings {
    /// Whether clients are told that they may use WebSocket.
    pub websocket: bool,
    /// Whether a balancer in front needs the cookie `JSESSIONID`.
    pub cookie_needed: bool,
    /// The URL from which the iframe of old browsers loads the client library. `None`: there is no iframe, since the
    /// operator has to choose the copy of the library.
    pub client_url: Option<String>,
    /// The base URL of the transports, if it is not this route's.
    pub base_url: Option<String>,
    /// How much a stream carries before it ends and its client reconnects, in UTF-16 units.
    pub response_limit: usize,
    /// The interval of heartbeats to a client's receiver.
    pub heartbeat: Duration,
    /// How long a client may be without a receiver.
    pub disconnect_delay: Duration,
    /// Whether clients may poll by script tags, and send by forms.
    pub jsonp: bool,
    /// The subprotocol that the backend of each session is offered.
    pub subprotocol: Option<HeaderValue>,
    /// How binary messages cross.
    pub binary: Binary,
    /// Whether a refusal of the backend that is final is a close, instead of a status.
    pub closes_refused: bool,
}

/// How binary messages cross, of which SockJS has none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Binary {
    /// Clients receive the text that they contain.
    #[default]
    Text,
    /// Clients receive base64, and send text.
    Base64,
    /// Clients receive base64 and send it: the backend receives binary messages alone.
    Base64Both,
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
            subprotocol: None,
            binary: Binary::default(),
            closes_refused: false,
        }
    }
}
