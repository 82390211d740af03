//! What all connections of a listener have in common.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioTimer;

use crate::address::RemoteAddress;
use crate::duplex::{Patience, RawHeaders};
use crate::server::connect_info::{ConnectInfo, STALL_TIMEOUT};
use crate::server::connection_limits::ConnectionLimits;
use crate::upstream::Pinned;

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub(in crate::server) struct Http1Settings {
    pub(in crate::server) builder: Builder,
    pub(in crate::server) waits: Waits,
    pub(in crate::server) limits: ConnectionLimits,
    pub(in crate::server) about: About,
}

/// What services are made with for all connections of a listener.
#[derive(Clone, Debug)]
pub(in crate::server) struct About {
    /// The listener's name.
    pub(in crate::server) listener: Arc<str>,
    /// Whether it speaks TLS.
    pub(in crate::server) secure: bool,
    /// How long a client may wait for a response after it has closed its sending side.
    pub(in crate::server) half_close_timeout: Duration,
}

impl Http1Settings {
    pub(in crate::server) fn new(waits: Waits, limits: ConnectionLimits, about: About) -> Self {
        let mut builder = Builder::new();
        // This one timeout covers the wait for a first request and the wait for the next one. A header that has begun has a
        // timeout of its own, which is shorter (`Http`).
        builder.timer(TokioTimer::new()).header_read_timeout(waits.idle_timeout);
        // Hyper does not decide whether a half-closed client is gone: it only looks if nothing lies unread.
        builder.half_close(true);
        // Hyper answers more lines with 431. A higher maximum than hyper's default would cost each request 11
        // instructions per line, used or not, so it is set only if it is needed (`Http`).
        builder.max_header_size(limits.header_max).max_buf_size(limits.header_max.max(BUFFER_MIN));
        Self { builder, waits, limits, about }
    }

    /// Returns what a service is made with, for a connection that has carried nothing yet, or is idle.
    pub(in crate::server) fn connect_info(
        &self,
        peer: RemoteAddress,
        subject: Option<Arc<HeaderValue>>,
        pinned: Pinned,
    ) -> ConnectInfo {
        let About { listener, secure, half_close_timeout } = &self.about;
        let (patience, raw_headers) = (Patience::new(STALL_TIMEOUT), RawHeaders::default());
        patience.set_half_close(*half_close_timeout);
        let listener = Arc::clone(listener);
        ConnectInfo { peer, listener, secure: *secure, subject, patience, raw_headers, pinned }
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
