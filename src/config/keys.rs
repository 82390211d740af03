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
        row(Server, "listen", Default("[\"127.0.0.1:8080\"]"), "where clients come in; port 0 takes any free port"),
        row(Server, "tls", Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files, when clients come with TLS"),
        row(Server, "max_sessions", Default("10_000"), "how many at once; beyond it a handshake is answered 503"),
        row(Server, "idle_timeout", Default("\"75s\""), "how long a connection may be silent between requests"),
        row(Server, "rest_after", Default("\"1s\""), "how long a request waits until it takes less memory"),
        row(Server, "half_close_timeout", Default("\"5s\""), "how long a half-closed client is answered on http; 0: not"),
        row(Server, "drain_delay", Default("\"0s\""), "how long /readyz says 503 before a drain begins"),
        row(Server, "drain_timeout", Default("\"30s\""), "how long a drain may take before the rest is cut"),
        row(Server, "trusted_proxies", Default("[]"), "networks in front whose word about the client is taken"),
        row(Tls, "certificate", Example("\"cert.pem\""), "the chain, leaf first"),
        row(Tls, "key", Example("\"key.pem\""), "the leaf's private key"),
        row(Tls, "client_ca", Example("\"clients.pem\""), "authorities, one of which must know each client; unset: anybody"),
        row(Admin, "listen", Default("\"127.0.0.1:9090\""), "livez, readyz and metrics; keep it private"),
        row(Log, "level", Default("\"info\""), "error, warn, info, debug or trace"),
        row(Log, "format", Default("\"text\""), "text, or json: one object a line"),
        row(Defaults, "ping_interval", Mirrored("\"25s\""), "from a pong to the next ping; unset: the backend's"),
        row(Defaults, "ping_timeout", Mirrored("\"20s\""), "how long a pong may take; unset: the backend's"),
        row(Defaults, "max_payload", Mirrored("\"1MB\""), "a client's largest POST or message; unset: the backend's"),
        row(Defaults, "outbox_max", Default("\"1MB\""), "what may wait for a client; above it its backend is not read"),
        row(Defaults, "batch_max", Default("\"1MB\""), "the longest answer to one poll; a larger message goes alone"),
        row(Defaults, "linger", Default("\"3ms\""), "how long a poll after a POST waits for its echoes; 0 is off"),
        row(Defaults, "stall_timeout", Default("\"60s\""), "how long a side that takes nothing may hold up the other"),
        row(Defaults, "upgrade_timeout", Default("\"10s\""), "how long a client may take to move to WebSocket"),
        row(Defaults, "close_timeout", Default("\"30s\""), "how long what is left of an ended session may take"),
        row(Defaults, "allow_upgrades", Default("true"), "whether polling clients are offered WebSocket"),
        row(Defaults, "relay", Default("true"), "whether a WebSocket is left to two ends that speak alike"),
        row(Defaults, "allowed_origins", Default("[]"), "whose browsers may connect; empty: everybody's"),
        row(Defaults, "cors", Default("\"mirror\""), "CORS headers: the backend's own; \"off\": none; or a table, ours:"),
        row(Defaults, "compression", Default("true"), "whether polls' answers from 1024 bytes are compressed"),
        row(Defaults, "request_headers", Example("{ X-Tenant = \"7\", X-Debug = \"\" }"), "what backends are told, too; \"\" removes"),
        row(Defaults, "response_headers", Example("{ Server = \"\" }"), "the same for what clients are told"),
        row(Defaults, "via", Default("true"), "whether backends see Via; some compress nothing then"),
        row(Cors, "origins", Example("[\"https://chat.example.org\"]"), "whose pages may read answers; \"*\" is everybody's"),
        row(Cors, "credentials", Default("false"), "whether with cookies, too; \"*\" then echoes the origin"),
        row(Cors, "headers", Example("[\"x-token\"]"), "headers that pages may send; unset: those asked for"),
        row(Cors, "methods", Default("[\"GET\", \"HEAD\", \"PUT\", \"PATCH\", \"POST\", \"DELETE\"]"), "methods that pages may use"),
        row(Cors, "max_age", Example("\"2h\""), "how long browsers may remember it"),
        row(Route, "path", Example("\"/socket.io/\""), "the prefix of the request's path; the longest wins"),
        row(Route, "host", Example("\"chat.example.org\""), "only requests for this host, whatever the port"),
        row(Route, "dialect", Example("\"engine.io\""), "engine.io (Socket.IO), sockjs, longpoll, websocket, mux, http"),
        row(Route, "upstream", Example("\"demo\""), "the name of an upstream, see below"),
        row(Route, "mux", Example("{ token = \"a-long-secret\" }"), "what concerns only dialect mux"),
        row(RouteMux, "token", Example("\"a-long-secret\""), "who connects must have it; unset: anybody may"),
        row(RouteMux, "credit", Default("\"256KiB\""), "what may wait here for one session, each way"),
        row(Upstream, "kind", Example("\"demo\""), "what the backend speaks: engine.io, websocket, mux, http, demo"),
        row(Upstream, "url", Example("\"ws://127.0.0.1:3000/socket.io/\""), "where it is; a list is used in turn, past what is down"),
        row(Upstream, "tls", Example("{ ca = \"ca.pem\" }"), "how it proves who it is, behind wss or https"),
        row(Upstream, "host", Default("\"client\""), "which Host it sees: the client's, or upstream for the URL's"),
        row(Upstream, "connect_timeout", Default("\"5s\""), "longest wait for a connection to one address"),
        row(Upstream, "handshake_timeout", Default("\"10s\""), "longest wait for a session, connection included"),
        row(Upstream, "response_timeout", Default("\"2m\""), "longest wait for a forwarded request's answer to begin"),
        row(Upstream, "versions", Default("[4]"), "its Engine.IO, also over mux: [3, 4] has allowEIO3, [3] is 2.x"),
        row(Upstream, "protocol", Default("\"opaque\""), "socket.io: clients of any version; websocket: a demo's"),
        row(Upstream, "translate", Default("true"), "whether those are translated; else they are refused"),
        row(Upstream, "max_message", Default("\"16MiB\""), "its largest message; a larger one closes with 1009"),
        row(Upstream, "required", Default("true"), "whether /readyz is 503 without it; false beside others"),
        row(Upstream, "mux", Example("{ connections = 2 }"), "what concerns only kind mux"),
        row(UpstreamMux, "connections", Default("1"), "how many WebSockets the sessions are spread over"),
        row(UpstreamMux, "credit", Default("\"256KiB\""), "what may wait here for one session, each way"),
        row(UpstreamMux, "resume_timeout", Default("\"30s\""), "how long sessions outlive a broken connection; 0 is off"),
        row(UpstreamMux, "token", Example("\"a-long-secret\""), "what the backend knows us by"),
        row(UpstreamTls, "ca", Example("\"ca.pem\""), "a PEM file of authorities; nobody else is trusted"),
        row(UpstreamTls, "roots", Example("\"webpki\""), "system or webpki (Mozilla's, built in); unset: the system's, else webpki"),
        row(UpstreamTls, "server_name", Example("\"chat.example.org\""), "the name it must have; unset: the URL's host"),
        row(UpstreamTls, "certificate", Example("\"cert.pem\""), "what we prove ourselves with, where it asks; leaf first"),
        row(UpstreamTls, "key", Example("\"key.pem\""), "the leaf's private key"),
    ]
};
