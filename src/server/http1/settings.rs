//! What all connections of a listener have in common.

use std::time::Duration;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioTimer;

use crate::server::connection_limits::ConnectionLimits;

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub(in crate::server) struct Http1Settings {
    pub(in crate::server) builder: Builder,
    pub(in crate::server) waits: Waits,
    pub(in crate::server) limits: ConnectionLimits,
}

impl Http1Settings {
    pub(in crate::server) fn new(waits: Waits, limits: ConnectionLimits) -> Self {
        let mut builder = Builder::new();
        // This one timeout covers the wait for a first request and the wait for the next one. A header that has begun has a
        // timeout of its own, which is shorter (`Http`).
        builder.timer(TokioTimer::new()).header_read_timeout(waits.idle_timeout);
        // Hyper does not decide whether a half-closed client is gone: it only looks if nothing lies unread.
        builder.half_close(true);
        // Hyper answers more lines with 431. A higher maximum than hyper's default would cost each request 11
        // instructions per line, used or not, so it is set only if it is needed (`Http`).
        builder.max_header_size(limits.header_max).max_buf_size(limits.header_max.max(BUFFER_MIN));
        Self { builder, waits, limits }
    }
}

/// How long a connection waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Waits {
    /// Until it leaves hyper: before that, leaving costs more than it saves.
    pub(in crate::server) rest_after: Duration,
    /// For its next request, until it ends. Hyper has the same timeout.
    pub(in crate::server) idle_timeout: Duration,
}

/// Hyper takes no smaller one.
const BUFFER_MIN: usize = 8 << 10;
