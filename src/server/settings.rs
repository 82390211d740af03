//! The part of the configuration that says where clients come in (`[server]`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::tls::Identity;

/// Public listeners and what holds for all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Addresses to listen on, at least one. Port 0 takes any free port; the log says which.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key, when the listeners speak TLS.
    pub tls: Option<TlsFiles>,
    /// How many sessions there may be at once; beyond it a handshake is answered 503 with `Retry-After`.
    pub max_sessions: usize,
    /// How long a connection may stay silent: before its first request, in the middle of a header and between requests.
    pub idle_timeout: Duration,
    /// How long a request waits until its connection is taken out of hyper's hands, which costs a fifth of what a request takes
    /// and frees most of the memory.
    pub rest_after: Duration,
    /// How long a forwarded request is still answered whose client has ended its own side of the connection; zero ends it
    /// at once.
    pub half_close_timeout: Duration,
    /// How long the proxy serves on, new sessions included, once it has said that it is no longer ready.
    pub drain_delay: Duration,
    /// How long a drain may take, from the end of that delay, before what is left is cut.
    pub drain_timeout: Duration,
    /// Proxies in front whose `X-Forwarded-*` and `Forwarded` headers are believed; from all others they are replaced.
    pub trusted_proxies: Vec<IpNet>,
}

/// The server's identity towards TLS clients (`[server.tls]`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// What the listeners prove themselves with.
    pub identity: Identity,
    /// A PEM file of authorities, one of which must have signed each client's certificate.
    pub client_ca: Option<PathBuf>,
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
            trusted_proxies: Vec::new(),
        }
    }
}
