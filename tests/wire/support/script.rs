//! The protocol of the application behind the proxy, and how it handles a new session.

use std::time::Duration;

/// The protocol of the application behind the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    EngineIo,
    WebSocket,
}

/// What the backend does with a request to open a session.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// How long it waits before it responds.
    pub(crate) delay: Duration,
    /// Bytes that it sends before it has read anything; then it closes.
    pub(crate) hasty: Option<Vec<u8>>,
    /// The response that it sends before it closes, instead of accepting.
    pub(crate) refusal: Option<Vec<u8>>,
    /// Whether it keeps the connection open after that response.
    pub(crate) held: bool,
    /// The response to `GET /healthz`, after which it closes.
    pub(crate) health: Vec<u8>,
    /// The response to OPTIONS, after which it closes.
    pub(crate) options: Vec<u8>,
    /// Additional header lines of its 101.
    pub(crate) headers: String,
    /// Its first message: an Engine.IO server's open packet.
    pub(crate) open: Option<String>,
    /// Bytes after its 101, instead of the above.
    pub(crate) after: Option<Vec<u8>>,
    /// Text messages that leave together with the open packet.
    pub(crate) first: Vec<String>,
    /// Whether its receive buffers are small, so that they fill up quickly.
    pub(crate) narrow: bool,
}

impl Script {
    /// Accepts every client.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            delay: Duration::ZERO,
            hasty: None,
            refusal: None,
            held: false,
            health: answer("200 OK", "", ""),
            options: answer("400 Bad Request", "Content-Type: application/json\r\n", BAD_METHOD),
            headers: String::new(),
            open: (kind == Kind::EngineIo).then(|| Self::open_packet(25_000, 20_000, 1_000_000)),
            after: None,
            first: Vec::new(),
            narrow: false,
        }
    }

    /// Returns the open packet of an Engine.IO server.
    pub(crate) fn open_packet(interval: u64, timeout: u64, max_payload: u64) -> String {
        format!(
            r#"0{{"sid":"backendbackendback01","upgrades":[],"pingInterval":{interval},"pingTimeout":{timeout},"maxPayload":{max_payload}}}"#
        )
    }
}

/// Returns a complete HTTP response.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The response of an Engine.IO server without CORS to a preflight.
const BAD_METHOD: &str = r#"{"code":2,"message":"Bad handshake method"}"#;
