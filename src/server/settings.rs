//! The part of the configuration for listeners (`[server]`).

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::tls::TlsFiles;

/// Public listeners and their common settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Addresses to listen on, at least one. Port 0 takes any free port; the log shows which.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key, if the listeners speak TLS.
    pub tls: Option<TlsFiles>,
    /// The maximum of concurrent sessions; beyond it a handshake is answered 503 with `Retry-After`.
    pub max_sessions: usize,
    /// How long a connection may be silent: before its first request, in the middle of a header and between requests.
    pub idle_timeout: Duration,
    /// How long a request waits until its connection is taken away from hyper, which costs a fifth of a request and
    /// frees most of the memory.
    pub rest_after: Duration,
    /// How long a forwarded request is still answered after its client has closed its sending side; zero ends it at
    /// once.
    pub half_close_timeout: Duration,
    /// How long the proxy continues to serve, including new sessions, after it has reported that it is no longer ready.
    pub drain_delay: Duration,
    /// How long a drain may take, after that delay, before what is left is aborted.
    pub drain_timeout: Duration,
    /// How often the configuration and the certificates are looked at for a change; zero is never.
    pub watch: Duration,
    /// Proxies in front whose `X-Forwarded-*` and `Forwarded` headers are trusted; those of all others are replaced.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            tls: None,
            max_sessions: 10_000,
            idle_timeout: Duration::from_secs(75),
            rest_after: Duration::from_secs(1),
            half_close_timeout: Duration::from_secs(5),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            watch: Duration::from_secs(5),
            trusted_proxies: Vec::new(),
        }
    }
}
