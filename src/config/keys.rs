//! The one table of all keys, joined from those of each section: the reader finds unknown keys with it, and a test holds
//! the shipped file to it.

use std::sync::LazyLock;

use super::row::keys_of;
use super::{listeners, log};
use crate::dialect;
use crate::dialect::table::DIALECTS;

pub use super::key::{Key, Only, SECTIONS, Section, Shown, Type};
pub use super::served::dialects;

/// Every key, in the order of the shipped file: those of each dialect stand at the end of `[defaults]`.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let own = |key: &dialect::keys::Key| {
        row(Section::Defaults, key.name, Type::of(&key.value), Shown::Default(key.default), key.doc)
    };
    let mut keys = Vec::new();
    keys.extend(keys_of(listeners::SERVER));
    keys.extend(keys_of(listeners::TLS));
    keys.extend(keys_of(listeners::ADMIN));
    keys.extend(keys_of(log::LOG));
    keys.extend(COMMON);
    let end = keys.iter().rposition(|key| key.section == Section::Defaults).map_or(0, |last| last + 1);
    keys.splice(end..end, DIALECTS.iter().flat_map(|kind| kind.keys).map(own));
    keys
});

const fn row(section: Section, name: &'static str, takes: Type, shown: Shown, doc: &'static str) -> Key {
    Key { section, name, takes, shown, doc, only: None }
}

/// The keys that are no dialect's own.
#[rustfmt::skip] // One line for each key.
const COMMON: &[Key] = {
    use Section::{
        Cors, Defaults, Route, RouteMux, Upstream, UpstreamMux, UpstreamTls,
    };
    use Shown::{Default, Example, Mirrored};
    use Type::{Count, Duration, File, Flag, Numbers, Size, Table, Text, Texts, Word, WordOrTable};
    const SPEAKS: &[&str] = &["engine.io", "mux", "demo"];
    const NO_ENGINE_IO: &str = "nothing, no Engine.IO is spoken with such an upstream";
    &[
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
