//! The one table of all keys: the reader finds unknown keys with it, a test holds the shipped file to it.

use std::sync::LazyLock;

use crate::dialect;
use crate::dialect::table::DIALECTS;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table that it stands in.
    pub section: Section,
    /// Its name.
    pub name: &'static str,
    /// The value that the shipped file shows, as TOML.
    pub shown: Shown,
    /// What it decides, in one line, as the shipped file says it.
    pub doc: &'static str,
}

/// What the value in the shipped file means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// What holds without the key.
    Default(&'static str),
    /// What holds without the key, unless the backend announces its own.
    Mirrored(&'static str),
    /// One possible value: without the key nothing holds, or the key is required.
    Example(&'static str),
}

impl Shown {
    /// The value, as TOML.
    pub fn value(self) -> &'static str {
        match self {
            Self::Default(value) | Self::Mirrored(value) | Self::Example(value) => value,
        }
    }
}

/// A table of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// The whole file.
    Root,
    /// `[server]`.
    Server,
    /// `[server.tls]`.
    Tls,
    /// `[admin]`.
    Admin,
    /// `[log]`.
    Log,
    /// `[defaults]`.
    Defaults,
    /// `[defaults.cors]`, or the same in a route.
    Cors,
    /// One of `[[routes]]`; it may also hold each key of `[defaults]`.
    Route,
    /// One `[upstreams.NAME]`.
    Upstream,
    /// One `[upstreams.NAME.tls]`.
    UpstreamTls,
    /// One `[upstreams.NAME.mux]`.
    UpstreamMux,
    /// One `[routes.mux]`.
    RouteMux,
}

impl Section {
    /// The section's header.
    pub fn header(self) -> &'static str {
        match self {
            Self::Root => "the top of the file",
            Self::Server => "[server]",
            Self::Tls => "[server.tls]",
            Self::Admin => "[admin]",
            Self::Log => "[log]",
            Self::Defaults => "[defaults]",
            Self::Cors => "[defaults.cors]",
            Self::Route => "[[routes]]",
            Self::Upstream => "[upstreams.NAME]",
            Self::UpstreamTls => "[upstreams.NAME.tls]",
            Self::UpstreamMux => "[upstreams.NAME.mux]",
            Self::RouteMux => "[routes.mux]",
        }
    }

    /// The names of all keys that may stand in it.
    pub fn names(self) -> Vec<&'static str> {
        if self == Self::Root {
            return SECTIONS.to_vec();
        }
        let fits = |key: &&Key| key.section == self || self == Self::Route && key.section == Self::Defaults;
        KEYS.iter().filter(fits).map(|key| key.name).collect()
    }
}

/// The key's line in the table, if it stands in that very section.
pub fn key(section: Section, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// The tables at the top of the file.
pub const SECTIONS: [&str; 6] = ["server", "admin", "log", "defaults", "routes", "upstreams"];

const fn row(section: Section, name: &'static str, shown: Shown, doc: &'static str) -> Key {
    Key { section, name, shown, doc }
}

/// Every key, in the order of the shipped file: those of each dialect stand at the end of `[defaults]`.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let own =
        |key: &dialect::keys::Key| row(Section::Defaults, key.name, Shown::Default(key.default), key.doc);
    let mut keys = COMMON.to_vec();
    let end = keys.iter().rposition(|key| key.section == Section::Defaults).map_or(0, |last| last + 1);
    keys.splice(end..end, DIALECTS.iter().flat_map(|kind| kind.keys).map(own));
    keys
});

/// The keys that are no dialect's own.
#[rustfmt::skip] // One line for each key.
const COMMON: &[Key] = {
    use Section::{
        Admin, Cors, Defaults, Log, Route, RouteMux, Server, Tls, Upstream, UpstreamMux, UpstreamTls,
    };
    use Shown::{Default, Example, Mirrored};
    &[
        row(Server, "listen", Default("[\"127.0.0.1:8080\"]"), "addresses for clients; port 0 takes any free port"),
        row(Server, "tls", Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files; set it to serve TLS"),
        row(Server, "max_sessions", Default("10_000"), "maximum of concurrent sessions; beyond it handshakes get 503"),
        row(Server, "idle_timeout", Default("\"75s\""), "how long a connection may be idle between requests"),
        row(Server, "rest_after", Default("\"1s\""), "how long a request waits before its buffers are released"),
        row(Server, "half_close_timeout", Default("\"5s\""), "how long a half-closed client of http is served; 0: not at all"),
        row(Server, "drain_delay", Default("\"0s\""), "how long /readyz is 503 before the drain starts"),
        row(Server, "drain_timeout", Default("\"30s\""), "how long a drain may take before the rest is aborted"),
        row(Server, "trusted_proxies", Default("[]"), "proxies whose forwarding headers are trusted (networks)"),
        row(Tls, "certificate", Example("\"cert.pem\""), "certificate chain, leaf first"),
        row(Tls, "key", Example("\"key.pem\""), "the leaf's private key"),
        row(Tls, "client_ca", Example("\"clients.pem\""), "authorities for client certificates; unset accepts anyone"),
        row(Admin, "listen", Default("\"127.0.0.1:9090\""), "/livez, /readyz and /metrics; keep it private"),
        row(Log, "level", Default("\"info\""), "error, warn, info, debug or trace"),
        row(Log, "format", Default("\"text\""), "text, or json: one object per line"),
        row(Defaults, "ping_interval", Mirrored("\"25s\""), "interval between a pong and the next ping; unset: the backend's"),
        row(Defaults, "ping_timeout", Mirrored("\"20s\""), "timeout of a pong; unset: the backend's"),
        row(Defaults, "max_payload", Mirrored("\"1MB\""), "largest POST or message of a client; unset: the backend's"),
        row(Defaults, "outbox_max", Default("\"1MB\""), "queue limit per client; above it its backend is not read"),
        row(Defaults, "batch_max", Default("\"1MB\""), "largest response to a poll; a larger message is sent alone"),
        row(Defaults, "linger", Default("\"3ms\""), "how long a poll after a POST waits for its echoes; 0: off"),
        row(Defaults, "stall_timeout", Default("\"60s\""), "how long a side may stop reading before it is disconnected"),
        row(Defaults, "upgrade_timeout", Default("\"10s\""), "timeout of an upgrade to WebSocket"),
        row(Defaults, "close_timeout", Default("\"30s\""), "timeout for what is left of an ended session"),
        row(Defaults, "allow_upgrades", Default("true"), "whether polling clients are offered an upgrade"),
        row(Defaults, "relay", Default("true"), "relay WebSockets whose two ends speak the same protocol"),
        row(Defaults, "allowed_origins", Default("[]"), "origins that may connect; empty: all"),
        row(Defaults, "cors", Default("\"mirror\""), "CORS: \"mirror\" the backend's, \"off\", or your own table:"),
        row(Defaults, "compression", Default("true"), "compress responses to polls from 1024 bytes"),
        row(Defaults, "request_headers", Example("{ X-Tenant = \"7\", X-Debug = \"\" }"), "headers to set on requests; \"\" removes"),
        row(Defaults, "response_headers", Example("{ Server = \"\" }"), "headers to set on responses; \"\" removes"),
        row(Defaults, "via", Default("true"), "add Via to requests; some backends then do not compress"),
        row(Cors, "origins", Example("[\"https://chat.example.org\"]"), "origins that may read responses; \"*\" is all"),
        row(Cors, "credentials", Default("false"), "whether to allow cookies; \"*\" then echoes the origin"),
        row(Cors, "headers", Example("[\"x-token\"]"), "request headers to allow; unset: those requested"),
        row(Cors, "methods", Default("[\"GET\", \"HEAD\", \"PUT\", \"PATCH\", \"POST\", \"DELETE\"]"), "methods to allow"),
        row(Cors, "max_age", Example("\"2h\""), "how long browsers may cache a preflight"),
        row(Route, "path", Example("\"/socket.io/\""), "path prefix of the requests; the longest match wins"),
        row(Route, "host", Example("\"chat.example.org\""), "only requests for this host, on any port"),
        row(Route, "dialect", Example("\"engine.io\""), "engine.io (Socket.IO), sockjs, longpoll, websocket, mux, http"),
        row(Route, "upstream", Example("\"demo\""), "name of an upstream below"),
        row(Route, "mux", Example("{ token = \"a-long-secret\" }"), "settings of dialect mux only"),
        row(RouteMux, "token", Example("\"a-long-secret\""), "required of clients; unset accepts anyone"),
        row(RouteMux, "credit", Default("\"256KiB\""), "bytes that may wait per session, in each direction"),
        row(Upstream, "kind", Example("\"demo\""), "protocol of the backend: engine.io, websocket, mux, http, demo"),
        row(Upstream, "url", Example("\"ws://127.0.0.1:3000/socket.io/\""), "its URL; a list is used in turn, skipping what is down"),
        row(Upstream, "tls", Example("{ ca = \"ca.pem\" }"), "how a wss or https backend is authenticated"),
        row(Upstream, "host", Default("\"client\""), "the Host it sees: client (the client's) or upstream (the URL's)"),
        row(Upstream, "connect_timeout", Default("\"5s\""), "timeout of a connection attempt to one address"),
        row(Upstream, "handshake_timeout", Default("\"10s\""), "timeout of opening a session, including the connection"),
        row(Upstream, "response_timeout", Default("\"2m\""), "timeout until the response to a forwarded request begins"),
        row(Upstream, "versions", Default("[4]"), "its Engine.IO versions: [3, 4] with allowEIO3, [3] is 2.x"),
        row(Upstream, "protocol", Default("\"opaque\""), "socket.io enables translation; websocket: for the demo"),
        row(Upstream, "translate", Default("true"), "translate clients of other versions; otherwise refuse them"),
        row(Upstream, "max_message", Default("\"16MiB\""), "largest message of the backend; a larger one closes with 1009"),
        row(Upstream, "required", Default("true"), "its outage makes /readyz 503; false if there are others"),
        row(Upstream, "mux", Example("{ connections = 2 }"), "settings of kind mux only"),
        row(UpstreamMux, "connections", Default("1"), "number of WebSockets that share the sessions"),
        row(UpstreamMux, "credit", Default("\"256KiB\""), "bytes that may wait per session, in each direction"),
        row(UpstreamMux, "resume_timeout", Default("\"30s\""), "how long sessions survive a broken connection; 0: off"),
        row(UpstreamMux, "token", Example("\"a-long-secret\""), "bearer token for the backend"),
        row(UpstreamTls, "ca", Example("\"ca.pem\""), "PEM file of the only trusted authorities"),
        row(UpstreamTls, "roots", Example("\"webpki\""), "system or webpki (Mozilla's, built in); unset: system, else webpki"),
        row(UpstreamTls, "server_name", Example("\"chat.example.org\""), "name in its certificate; unset: the URL's host"),
        row(UpstreamTls, "certificate", Example("\"cert.pem\""), "our client certificate, if it asks; leaf first"),
        row(UpstreamTls, "key", Example("\"key.pem\""), "the leaf's private key"),
    ]
};
