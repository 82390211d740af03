//! The settings of upstreams of kind `mux` only.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

/// The settings of upstreams of kind `mux` only (`[upstreams.NAME.mux]`).
#[derive(Clone, PartialEq, Eq)]
pub struct MuxSettings {
    /// The number of connections that sessions are spread over.
    pub connections: usize,
    /// Payload bytes that may wait for one session, in each direction.
    pub credit: usize,
    /// How long sessions outlive a broken connection.
    pub resume_timeout: Duration,
    /// The value of `Authorization` on the connection's handshake.
    pub token: Option<HeaderValue>,
}

impl Default for MuxSettings {
    fn default() -> Self {
        Self { connections: 1, credit: 256 << 10, resume_timeout: Duration::from_secs(30), token: None }
    }
}

/// Without the token, which is secret.
impl fmt::Debug for MuxSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MuxSettings")
            .field("connections", &self.connections)
            .field("credit", &self.credit)
            .field("resume_timeout", &self.resume_timeout)
            .finish_non_exhaustive()
    }
}
