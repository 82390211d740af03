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
    /// What kind of value it takes.
    pub takes: Type,
    /// The value that the shipped file shows, as TOML.
    pub shown: Shown,
    /// What it decides, in one line, as the shipped file says it.
    pub doc: &'static str,
    /// The kinds of upstream that it means something to; `None` is all of them, and each key of another table.
    pub only: Option<Only>,
}

/// The kinds of upstream that a key means something to.
#[derive(Clone, Copy, Debug)]
pub struct Only {
    /// Their names.
    pub kinds: &'static [&'static str],
    /// What is expected instead beside another kind.
    pub instead: &'static str,
}

/// What kind of value a key takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// A text with a unit of time, or 0.
    Duration,
    /// Bytes, with or without a unit.
    Size,
    /// A whole number.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of a few words.
    Word,
    /// A text.
    Text,
    /// A text, or a list of them.
    Texts,
    /// A list of numbers.
    Numbers,
    /// The name of a file.
    File,
    /// A table.
    Table,
    /// One of a few words, or a table.
    WordOrTable,
}

impl Type {
    /// Returns what a reader of the documentation is told.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Size => "size in bytes",
            Self::Count => "number",
            Self::Flag => "true or false",
            Self::Word => "word",
            Self::Text => "text",
            Self::Texts => "text, or list",
            Self::Numbers => "list of numbers",
            Self::File => "file",
            Self::Table => "table",
            Self::WordOrTable => "word, or table",
        }
    }

    /// Returns the type of a dialect's own key.
    fn of(value: &dialect::keys::Value) -> Self {
        use dialect::keys::Value;
        match value {
            Value::Word(_) => Self::Word,
            Value::Numbers(..) => Self::Numbers,
            Value::Flag(_) => Self::Flag,
            Value::Time(_) => Self::Duration,
            Value::Size(_) => Self::Size,
            Value::Text(_) => Self::Text,
        }
    }
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
    /// Returns the value, as TOML.
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
    /// Returns the section's header.
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

    /// Returns the names of all keys that may stand in it.
    pub fn names(self) -> Vec<&'static str> {
        if self == Self::Root {
            return SECTIONS.to_vec();
        }
        let fits = |key: &&Key| key.section == self || self == Self::Route && key.section == Self::Defaults;
        KEYS.iter().filter(fits).map(|key| key.name).collect()
    }
}

/// Returns the key's line in the table, if it stands in that very section.
pub fn key(section: Section, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// The tables at the top of the file.
pub const SECTIONS: [&str; 6] = ["server", "admin", "log", "defaults", "routes", "upstreams"];

const fn row(section: Section, name: &'static str, takes: Type, shown: Shown, doc: &'static str) -> Key {
    Key { section, name, takes, shown, doc, only: None }
}

impl Key {
    const fn only(self, kinds: &'static [&'static str], instead: &'static str) -> Self {
        Self { only: Some(Only { kinds, instead }), ..self }
    }

    /// Returns the dialects beside which a route may hold it, by what they are called in the configuration; `None` is all
    /// of them, and each key of another table.
    pub fn dialects(&self) -> Option<Vec<&'static str>> {
        if !matches!(self.section, Section::Defaults | Section::Route) {
            return None;
        }
        let means = |name: &&str| !means_nothing(self.name, name);
        let fits: Vec<_> = dialects().filter(means).collect();
        Some(fits).filter(|fits| fits.len() < dialects().count())
    }
}

/// Returns what a route's `dialect` can be.
pub fn dialects() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|kind| kind.name).chain(SERVED.iter().map(|(name, _)| *name))
}

/// Returns whether a key that a route may hold means nothing beside the dialect.
pub fn means_nothing(key: &str, dialect: &str) -> bool {
    let has = |keys: &[dialect::keys::Key]| keys.iter().any(|own| own.name == key);
    let (own, idle) = match DIALECTS.iter().find(|kind| kind.name == dialect) {
        Some(kind) => (has(kind.keys), kind.idle),
        None => (false, SERVED.iter().find(|(name, _)| *name == dialect).map_or(&[][..], |(_, idle)| *idle)),
    };
    let is_anothers = DIALECTS.iter().any(|kind| has(kind.keys)) || key == "mux" && dialect != "mux";
    !own && (is_anothers || idle.contains(&key))
}

/// What a route can say beside a dialect that makes sessions, with the keys that mean nothing there.
const SERVED: [(&str, &[&str]); 2] = [
    // Its sessions' clients are another proxy's; that none is relayed, a route may say.
    (
        "mux",
        &[
            "ping_interval",
            "ping_timeout",
            "batch_max",
            "linger",
            "upgrade_timeout",
            "allow_upgrades",
            "bind",
            "allowed_origins",
            "cors",
            "compression",
        ],
    ),
    // It has no sessions.
    (
        "http",
        &[
            "ping_interval",
            "ping_timeout",
            "max_payload",
            "outbox_max",
            "batch_max",
            "linger",
            "upgrade_timeout",
            "close_timeout",
            "allow_upgrades",
            "relay",
            "bind",
            "allowed_origins",
            "cors",
            "compression",
        ],
    ),
];

/// Every key, in the order of the shipped file: those of each dialect stand at the end of `[defaults]`.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let own = |key: &dialect::keys::Key| {
        row(Section::Defaults, key.name, Type::of(&key.value), Shown::Default(key.default), key.doc)
    };
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
    use Type::{Count, Duration, File, Flag, Numbers, Size, Table, Text, Texts, Word, WordOrTable};
    const SPEAKS: &[&str] = &["engine.io", "mux", "demo"];
    const NO_ENGINE_IO: &str = "nothing, no Engine.IO is spoken with such an upstream";
    &[
        row(Server, "listen", Texts, Default("[\"127.0.0.1:8080\"]"), "addresses for clients; port 0 takes any free port"),
        row(Server, "tls", Table, Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files; set it to serve TLS"),
        row(Server, "max_sessions", Count, Default("10_000"), "maximum of concurrent sessions; beyond it handshakes get 503"),
        row(Server, "idle_timeout", Duration, Default("\"75s\""), "how long a connection may be idle between requests"),
        row(Server, "rest_after", Duration, Default("\"1s\""), "how long a request waits before its buffers are released"),
        row(Server, "half_close_timeout", Duration, Default("\"5s\""), "how long a half-closed client of http is served; 0: not at all"),
        row(Server, "drain_delay", Duration, Default("\"0s\""), "how long /readyz is 503 before the drain starts"),
        row(Server, "drain_timeout", Duration, Default("\"30s\""), "how long a drain may take before the rest is aborted"),
        row(Server, "trusted_proxies", Texts, Default("[]"), "proxies whose forwarding headers are trusted (networks)"),
        row(Tls, "certificate", File, Example("\"cert.pem\""), "certificate chain, leaf first"),
        row(Tls, "key", File, Example("\"key.pem\""), "the leaf's private key"),
        row(Tls, "client_ca", File, Example("\"clients.pem\""), "authorities for client certificates; unset accepts anyone"),
        row(Admin, "listen", Text, Default("\"127.0.0.1:9090\""), "/livez, /readyz and /metrics; keep it private"),
        row(Log, "level", Word, Default("\"info\""), "error, warn, info, debug or trace"),
        row(Log, "format", Word, Default("\"text\""), "text, or json: one object per line"),
        row(Defaults, "ping_interval", Duration, Mirrored("\"25s\""), "interval between a pong and the next ping; unset: the backend's"),
        row(Defaults, "ping_timeout", Duration, Mirrored("\"20s\""), "timeout of a pong; unset: the backend's"),
        row(Defaults, "max_payload", Size, Mirrored("\"1MB\""), "largest POST or message of a client; unset: the backend's"),
        row(Defaults, "outbox_max", Size, Default("\"1MB\""), "queue limit per client; above it its backend is not read"),
        row(Defaults, "batch_max", Size, Default("\"1MB\""), "largest response to a poll; a larger message is sent alone"),
        row(Defaults, "linger", Duration, Default("\"3ms\""), "how long a poll after a POST waits for its echoes; 0: off"),
        row(Defaults, "stall_timeout", Duration, Default("\"60s\""), "how long a side may stop reading before it is disconnected"),
        row(Defaults, "upgrade_timeout", Duration, Default("\"10s\""), "timeout of an upgrade to WebSocket"),
        row(Defaults, "close_timeout", Duration, Default("\"30s\""), "timeout for what is left of an ended session"),
        row(Defaults, "allow_upgrades", Flag, Default("true"), "whether polling clients are offered an upgrade"),
        row(Defaults, "relay", Flag, Default("true"), "relay WebSockets whose two ends speak the same protocol"),
        row(Defaults, "bind", Word, Default("\"none\""), "only who began a session may use it: by address, or cookie"),
        row(Defaults, "allowed_origins", Texts, Default("[]"), "origins that may connect; empty: all"),
        row(Defaults, "cors", WordOrTable, Default("\"mirror\""), "CORS: \"mirror\" the backend's, \"off\", or your own table:"),
        row(Defaults, "compression", Flag, Default("true"), "compress responses to polls from 1024 bytes"),
        row(Defaults, "request_headers", Table, Example("{ X-Tenant = \"7\", X-Debug = \"\" }"), "headers to set on requests; \"\" removes"),
        row(Defaults, "response_headers", Table, Example("{ Server = \"\" }"), "headers to set on responses; \"\" removes"),
        row(Defaults, "via", Flag, Default("true"), "add Via to requests; some backends then do not compress"),
        row(Cors, "origins", Texts, Example("[\"https://chat.example.org\"]"), "origins that may read responses; \"*\" is all"),
        row(Cors, "credentials", Flag, Default("false"), "whether to allow cookies; \"*\" then echoes the origin"),
        row(Cors, "headers", Texts, Example("[\"x-token\"]"), "request headers to allow; unset: those requested"),
        row(Cors, "methods", Texts, Default("[\"GET\", \"HEAD\", \"PUT\", \"PATCH\", \"POST\", \"DELETE\"]"), "methods to allow"),
        row(Cors, "max_age", Duration, Example("\"2h\""), "how long browsers may cache a preflight"),
        row(Route, "path", Text, Example("\"/socket.io/\""), "path prefix of the requests; the longest match wins"),
        row(Route, "host", Text, Example("\"chat.example.org\""), "only requests for this host, on any port"),
        row(Route, "dialect", Word, Example("\"engine.io\""), "engine.io (Socket.IO), sockjs, longpoll, websocket, mux, http"),
        row(Route, "upstream", Text, Example("\"demo\""), "name of an upstream below"),
        row(Route, "mux", Table, Example("{ token = \"a-long-secret\" }"), "settings of dialect mux only"),
        row(RouteMux, "token", Text, Example("\"a-long-secret\""), "required of clients; unset accepts anyone"),
        row(RouteMux, "credit", Size, Default("\"256KiB\""), "bytes that may wait per session, in each direction"),
        row(Upstream, "kind", Word, Example("\"demo\""), "protocol of the backend: engine.io, websocket, mux, http, demo"),
        row(Upstream, "url", Texts, Example("\"ws://127.0.0.1:3000/socket.io/\""), "its URL; a list is used in turn, skipping what is down").only(&["engine.io", "websocket", "mux", "http"], "none, kind \"demo\" runs inside this binary"),
        row(Upstream, "tls", Table, Example("{ ca = \"ca.pem\" }"), "how a wss or https backend is authenticated").only(&["engine.io", "websocket", "mux", "http"], "none, kind \"demo\" runs inside this binary"),
        row(Upstream, "host", Word, Default("\"client\""), "the Host it sees: client (the client's) or upstream (the URL's)"),
        row(Upstream, "connect_timeout", Duration, Default("\"5s\""), "timeout of a connection attempt to one address").only(&["engine.io", "websocket", "mux", "http"], "nothing, kind \"demo\" runs inside this binary"),
        row(Upstream, "handshake_timeout", Duration, Default("\"10s\""), "timeout of opening a session, including the connection"),
        row(Upstream, "response_timeout", Duration, Default("\"2m\""), "timeout until the response to a forwarded request begins"),
        row(Upstream, "versions", Numbers, Default("[4]"), "its Engine.IO versions: [3, 4] with allowEIO3, [3] is 2.x").only(SPEAKS, NO_ENGINE_IO),
        row(Upstream, "protocol", Word, Default("\"opaque\""), "socket.io enables translation; websocket: for the demo").only(SPEAKS, NO_ENGINE_IO),
        row(Upstream, "translate", Flag, Default("true"), "translate clients of other versions; otherwise refuse them").only(SPEAKS, NO_ENGINE_IO),
        row(Upstream, "max_message", Size, Default("\"16MiB\""), "largest message of the backend; a larger one closes with 1009").only(&["engine.io", "websocket", "mux", "demo"], "nothing, such an upstream has no messages"),
        row(Upstream, "required", Flag, Default("true"), "its outage makes /readyz 503; false if there are others"),
        row(Upstream, "mux", Table, Example("{ connections = 2 }"), "settings of kind mux only").only(&["mux"], "it only beside kind \"mux\""),
        row(UpstreamMux, "connections", Count, Default("1"), "number of WebSockets that share the sessions"),
        row(UpstreamMux, "credit", Size, Default("\"256KiB\""), "bytes that may wait per session, in each direction"),
        row(UpstreamMux, "resume_timeout", Duration, Default("\"30s\""), "how long sessions survive a broken connection; 0: off"),
        row(UpstreamMux, "token", Text, Example("\"a-long-secret\""), "bearer token for the backend"),
        row(UpstreamTls, "ca", File, Example("\"ca.pem\""), "PEM file of the only trusted authorities"),
        row(UpstreamTls, "roots", Word, Example("\"webpki\""), "system or webpki (Mozilla's, built in); unset: system, else webpki"),
        row(UpstreamTls, "server_name", Text, Example("\"chat.example.org\""), "name in its certificate; unset: the URL's host"),
        row(UpstreamTls, "certificate", File, Example("\"cert.pem\""), "our client certificate, if it asks; leaf first"),
        row(UpstreamTls, "key", File, Example("\"key.pem\""), "the leaf's private key"),
    ]
};
