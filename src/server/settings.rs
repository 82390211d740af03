//! The part of the configuration for listeners (`[server]` and `[[listeners]]`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::connection_limits::ConnectionLimits;
use crate::address::{ListenAddress, TrustedProxy};
use crate::networks::Networks;
use crate::tls::TlsFiles;

/// Public listeners, and what they have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The listeners, at least one, each with a name of its own.
    pub listeners: Vec<ListenerSettings>,
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
    /// Within which a change of the configuration and the certificates is noticed; zero is never.
    pub watch: Duration,
    /// What a client may make of one connection.
    pub limits: ConnectionLimits,
    /// Proxies in front whose `X-Forwarded-*` and `Forwarded` headers are trusted; those of all others are replaced.
    pub trusted_proxies: Vec<TrustedProxy>,
}

/// One listener: the addresses that share a name, and with it TLS and routes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct ListenerSettings {
    /// What routes and descriptors call it.
    pub name: Arc<str>,
    /// Addresses to listen on, at least one. Port 0 takes any free port; the log shows which.
    pub listen: Vec<ListenAddress>,
    /// Whether IPv6 addresses are without the IPv4 ones: `[::]` includes these otherwise.
    pub only_v6: bool,
    /// The mode of the files of its Unix sockets.
    pub socket_mode: u32,
    /// Whether each connection begins with a PROXY header, by one of the trusted proxies.
    pub proxy_protocol: bool,
    /// Certificate and key, if it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Whether TLS clients are offered HTTP/2.
    pub http2: bool,
    /// Whether clients without TLS may begin with HTTP/2 (RFC 9113, section 3.3: with prior knowledge).
    pub h2c: bool,
    /// Which addresses may connect; a Unix socket's clients have none, and may.
    pub networks: Networks,
}

impl ListenerSettings {
    /// The listener of `[server]`.
    pub const DEFAULT: &str = "default";
    /// The mode of a Unix socket's file: its user and its group may connect.
    pub const SOCKET_MODE: u32 = 0o660;

    /// Creates one without TLS.
    pub fn at(name: &str, listen: Vec<ListenAddress>) -> Self {
        Self {
            name: name.into(),
            listen,
            only_v6: false,
            socket_mode: Self::SOCKET_MODE,
            proxy_protocol: false,
            tls: None,
            http2: true,
            h2c: false,
            networks: Networks::default(),
        }
    }

    /// Returns whether an address of it is without the IPv4 ones.
    pub(super) fn is_only_v6(&self, address: &ListenAddress) -> bool {
        self.only_v6 && address.ip().is_some_and(|address| address.is_ipv6())
    }

    /// Returns the names of its sockets.
    pub fn sockets(&self) -> impl Iterator<Item = SocketName> {
        self.listen
            .iter()
            .map(|address| SocketName { listener: Arc::clone(&self.name), address: address.clone() })
    }
}

/// What a listening socket is known by, in this configuration and the next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SocketName {
    /// Its listener.
    pub listener: Arc<str>,
    /// The address that stands in the configuration.
    pub address: ListenAddress,
}

impl fmt::Display for SocketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.listener, self.address)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listeners: vec![ListenerSettings::default()],
            max_sessions: 10_000,
            idle_timeout: Duration::from_secs(75),
            rest_after: Duration::from_secs(1),
            half_close_timeout: Duration::from_secs(5),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            watch: Duration::from_secs(5),
            limits: ConnectionLimits::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self::at(Self::DEFAULT, vec![SocketAddr::from(([127, 0, 0, 1], 8080)).into()])
    }
}
