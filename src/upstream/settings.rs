//! The part of the configuration for an upstream: its address, protocol and timeouts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::revision::{Protocol, Versions};
use crate::tls::{Identity, Trust};
use crate::upstream::{Check, HashBy, MuxSettings, RequestLimits};

/// The part of the configuration for an upstream (`[upstreams.NAME]`).
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct Settings {
    /// What the backend speaks.
    pub kind: Kind,
    /// Its URLs, at least one unless the kind is `demo`.
    pub urls: Vec<http::Uri>,
    /// The Unix sockets that lead to its one URL, if its host is not dialled.
    pub sockets: Vec<Arc<Path>>,
    /// How it is authenticated, if a URL's scheme is `wss` or `https`.
    pub tls: Tls,
    /// The PROXY header that each of its connections begins with.
    pub proxy_protocol: Option<ProxyVersion>,
    /// The `Host` that the backend sees.
    pub host: Host,
    /// Which of its addresses is next.
    pub balance: Balance,
    /// What of a request decides that, with [`Balance::Hash`].
    pub hash: Option<HashBy>,
    /// How long the share of an address grows that has come back, or is new.
    pub slow_start: Duration,
    /// How often the hosts' names are resolved again.
    pub resolve_interval: Duration,
    /// Whether another address is asked if one hangs up without an answer to a handshake.
    pub retry: bool,
    /// How long a handshake waits for an upstream that can't be reached.
    pub hold: Duration,
    /// How many sessions an address may have. They are changed while it runs.
    pub limits: Limits,
    /// How its addresses are checked, if they are.
    pub check: Option<Check>,
    /// Longest wait for a TCP connection to one address, and then for its TLS handshake.
    pub connect_timeout: Duration,
    /// Longest wait for the backend to accept a session, the connection included.
    pub handshake_timeout: Duration,
    /// Longest wait for the response to a forwarded request to begin, and for the next piece of the request's body.
    pub response_timeout: Duration,
    /// The largest message from the backend, in bytes; a larger one closes the session with code 1009. On a relayed
    /// WebSocket, payload bytes on the wire are counted.
    pub max_message: usize,
    /// The shortest message that is compressed on the way to it, if it agrees; `None` does not ask it.
    pub permessage_deflate: Option<usize>,
    /// The revisions of Engine.IO that the backend speaks.
    pub versions: Versions,
    /// Whether the messages are Socket.IO's with its default parser; unless that is known, their content is not read.
    pub socket_io: bool,
    /// Whether Socket.IO clients of a revision that the backend does not speak are translated.
    pub translate: bool,
    /// The settings of kind `mux` only.
    pub mux: MuxSettings,
    /// Whether the proxy is not ready without it.
    pub required: bool,
    /// Whether the demo's page may drain and kill this process.
    pub controls: bool,
}

impl Settings {
    /// Returns whether the messages are known to be Socket.IO's, from `protocol` or a URL's path.
    pub fn speaks_socket_io(&self) -> bool {
        self.socket_io
            || self.kind == Kind::Demo(Embedding::SocketIo)
            || self.urls.iter().any(|url| is_socket_io(url.path()))
    }

    /// Returns the protocol of the backend.
    pub const fn protocol(&self) -> Protocol {
        match self.kind {
            Kind::EngineIo | Kind::Demo(Embedding::SocketIo) => Protocol::EngineIo,
            Kind::Mux => Protocol::Mux,
            Kind::WebSocket | Kind::Http | Kind::Demo(Embedding::WebSocket) => Protocol::WebSocket,
        }
    }

    /// Returns the revisions of the clients that it serves, translated or not.
    pub(crate) fn served(&self) -> Versions {
        if self.is_translated() { Versions::ALL } else { self.versions }
    }

    /// Returns the files that TLS needs; none in the clear.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let tls = self.urls.iter().any(is_secure).then_some(&self.tls);
        let trust = tls.and_then(|tls| if let Trust::File(path) = &tls.trust { Some(path) } else { None });
        let identity = tls.and_then(|tls| tls.identity.as_ref());
        let identity = identity.into_iter().flat_map(|identity| [&identity.certificate, &identity.key]);
        trust.into_iter().chain(identity).map(PathBuf::as_path)
    }

    /// Returns whether clients of another revision are translated.
    pub(crate) fn is_translated(&self) -> bool {
        self.translate && (self.socket_io || self.kind == Kind::Demo(Embedding::SocketIo))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: Kind::EngineIo,
            urls: Vec::new(),
            sockets: Vec::new(),
            tls: Tls::default(),
            proxy_protocol: None,
            host: Host::Client,
            balance: Balance::Least,
            hash: None,
            slow_start: Duration::ZERO,
            resolve_interval: Duration::from_secs(10),
            retry: true,
            hold: Duration::ZERO,
            limits: Limits::default(),
            check: None,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            // Longer than the long polls of other protocols: BOSH waits 60 s, SignalR 90.
            response_timeout: Duration::from_mins(2),
            max_message: 16 << 20,
            permessage_deflate: None,
            versions: Versions { v3: false, v4: true },
            socket_io: false,
            translate: true,
            mux: MuxSettings::default(),
            required: true,
            controls: false,
        }
    }
}

/// How many sessions each of an upstream's addresses may have, how many requests are forwarded to it at once, and how many
/// wait for a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most sessions at each address; `None` is as many as there are.
    pub max_sessions: Option<usize>,
    /// The most forwarded requests at once, to all its addresses; `None` is as many as there are.
    pub max_requests: Option<usize>,
    /// The most handshakes that wait, and the most requests.
    pub queue: usize,
    /// The longest wait.
    pub queue_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_sessions: None, max_requests: None, queue: 100, queue_timeout: Duration::from_secs(5) }
    }
}

impl Limits {
    /// Returns those of forwarded requests.
    pub(super) const fn requests(&self) -> RequestLimits {
        let Self { max_requests: max, queue, queue_timeout, .. } = *self;
        RequestLimits { max, queue, queue_timeout }
    }
}

/// How a backend is authenticated (`[upstreams.NAME.tls]`).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tls {
    /// The trusted authorities.
    pub trust: Trust,
    /// The name that its certificate must have, if not the URL's host.
    pub server_name: Option<ServerName<'static>>,
    /// Our identity, for a backend that asks for a certificate.
    pub identity: Option<Identity>,
}

/// Returns whether a path is that of a Socket.IO server.
pub fn is_socket_io(path: &str) -> bool {
    path.split('/').any(|segment| segment == "socket.io")
}

/// Returns whether the URL uses TLS.
pub fn is_secure(url: &http::Uri) -> bool {
    url.scheme_str().is_some_and(|scheme| ["wss", "https"].iter().any(|one| scheme.eq_ignore_ascii_case(one)))
}

/// The protocol of a backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Engine.IO over WebSocket: a Socket.IO server.
    EngineIo,
    /// Plain WebSocket.
    WebSocket,
    /// A server embedded in this binary.
    Demo(Embedding),
    /// Plain HTTP, to which requests are forwarded.
    Http,
    /// All sessions over shared connections.
    Mux,
}

/// Which of an upstream's addresses is next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    /// The one with the fewest connections; among equals, each in turn.
    Least,
    /// Each in turn.
    RoundRobin,
    /// The first that can be reached.
    First,
    /// The one that a value of the request maps to; without the value, as with `Least`.
    Hash,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The protocol of an embedded server.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Embedding {
    /// Socket.IO 3 and later.
    #[default]
    SocketIo,
    /// Plain WebSocket.
    WebSocket,
}

/// The `Host` header that the backend sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host {
    /// The client's.
    Client,
    /// The host of the upstream's URL.
    Upstream,
}
