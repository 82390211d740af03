//! `[upstreams.NAME]`: the backends.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check;
use super::fault::{Problem, Sink};
use super::key::{Section, Shown, Type};
use super::mux;
use super::row::{Row, only, read_rows, row};
use super::table::Table;
use super::tree::{Entry, Node, show_text};
use super::trust;
use super::values::{
    GB, HOUR, MS, Wrong, count, duration, flag, is_socket_io, size, socket, text, url, word,
};
use super::versions::versions;
use crate::upstream::{Balance, Embedding, HashBy, Host, Kind, ProxyVersion, Settings};

/// What backends may speak.
const KINDS: [(&str, Kind); 5] = [
    ("engine.io", Kind::EngineIo),
    ("websocket", Kind::WebSocket),
    ("mux", Kind::Mux),
    ("http", Kind::Http),
    ("demo", Kind::Demo(Embedding::SocketIo)),
];

/// What messages may be.
const PROTOCOLS: [(&str, Option<Embedding>); 3] =
    [("opaque", None), ("socket.io", Some(Embedding::SocketIo)), ("websocket", Some(Embedding::WebSocket))];

/// Which `Host` backends may see.
const HOSTS: [(&str, Host); 2] = [("client", Host::Client), ("upstream", Host::Upstream)];

/// Which PROXY headers backends may get.
const PROXY_VERSIONS: [(&str, ProxyVersion); 2] = [("v1", ProxyVersion::V1), ("v2", ProxyVersion::V2)];

/// Which address may be next.
const BALANCES: [(&str, Balance); 4] = [
    ("least", Balance::Least),
    ("round-robin", Balance::RoundRobin),
    ("first", Balance::First),
    ("hash", Balance::Hash),
];

/// What may follow the last of them.
const HASHES: &str =
    "; a hash may be of header:NAME, cookie:NAME, query:NAME, or the address, as in hash:cookie:NAME";

/// The kinds that speak Engine.IO.
const SPEAKS: &[&str] = &["engine.io", "mux", "demo"];
/// The kinds that run elsewhere.
const REMOTE: &[&str] = &["engine.io", "websocket", "mux", "http"];
/// Those of them that have sessions.
const SESSIONS: &[&str] = &["engine.io", "websocket", "mux"];
const IS_HERE: &str = "which runs inside this binary";
const NO_ENGINE_IO: &str = "which does not speak Engine.IO";

/// The keys of an upstream. Its URLs are read as its kind has them, and its TLS as its URLs.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const UPSTREAM: &[Row<Written>] = &[
    row(Section::Upstream, "kind", Type::Word, Shown::Example("\"demo\""), "protocol of the backend: engine.io, websocket, mux, http, demo",
        |table, key, upstream| {
            upstream.kind = table.required(key, kind);
            upstream.settings.kind = upstream.kind.unwrap_or(upstream.settings.kind);
        }),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "url", Type::Texts, Shown::Example("\"ws://127.0.0.1:3000/socket.io/\""), "its URL, or a list; all their addresses are used",
            urls)),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "socket", Type::Texts, Shown::Example("\"/run/app.sock\""), "Unix socket instead of the URL's host and port, or a list",
            sockets)),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "balance", Type::Word, Shown::Default("\"least\""), "next address: least, round-robin, first, hash, hash:cookie:NAME",
            balance)),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "slow_start", Type::Duration, Shown::Default("\"0s\""), "time in which an address that is back gets ever more clients",
            slow_start)),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "resolve_interval", Type::Duration, Shown::Default("\"10s\""), "how often the names in its URLs are resolved again",
            resolve_interval)),
    only(SESSIONS, "which has no handshakes",
        row(Section::Upstream, "retry", Type::Flag, Shown::Default("true"), "ask another address if one hangs up on a handshake, unanswered",
            |table, key, upstream| table.set(key, &mut upstream.settings.retry, flag))),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "hold", Type::Duration, Shown::Default("\"0s\""), "how long clients wait for a backend that is down, such as 10s",
            |table, key, upstream| table.set(key, &mut upstream.settings.hold, duration(Duration::ZERO..=HOUR)))),
    only(SESSIONS, "which has no sessions",
        row(Section::Upstream, "max_sessions", Type::Count, Shown::Example("1000"), "most sessions at each address; unset: no limit",
            |table, key, upstream| upstream.settings.limits.max_sessions = table.value(key, count(1..=SESSIONS_MAX)))),
    row(Section::Upstream, "max_requests", Type::Count, Shown::Example("1000"), "most forwarded requests at once to it; unset: no limit",
        |table, key, upstream| upstream.settings.limits.max_requests = table.value(key, count(1..=SESSIONS_MAX))),
    row(Section::Upstream, "queue", Type::Count, Shown::Default("100"), "most handshakes, and requests, that wait while it is full",
        |table, key, upstream| limited(table, key, &mut upstream.settings.limits.queue, count(0..=QUEUE_MAX))),
    row(Section::Upstream, "queue_timeout", Type::Duration, Shown::Default("\"5s\""), "longest such wait; then, and beyond the queue, clients get 503",
        |table, key, upstream| limited(table, key, &mut upstream.settings.limits.queue_timeout, duration(MS..=HOUR))),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "check", Type::Table, Shown::Example("{ path = \"/healthz\" }"), "how each address is checked; unset: only by its use",
            |table, key, upstream| check::read(table, key, &mut upstream.settings))),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "tls", Type::Table, Shown::Example("{ ca = \"ca.pem\" }"), "how a wss or https backend is authenticated",
            |table, key, upstream| trust::read(table, key, &mut upstream.settings))),
    only(&["engine.io", "websocket"], "whose connections clients share",
        row(Section::Upstream, "proxy_protocol", Type::Word, Shown::Example("\"v2\""), "PROXY header that tells it the client's address: v1 or v2",
            |table, key, upstream| upstream.settings.proxy_protocol = table.value(key, word(&PROXY_VERSIONS, &[])))),
    row(Section::Upstream, "host", Type::Word, Shown::Default("\"client\""), "the Host it sees: client (the client's) or upstream (the URL's)",
        |table, key, upstream| table.set(key, &mut upstream.settings.host, word(&HOSTS, &[]))),
    only(REMOTE, IS_HERE,
        row(Section::Upstream, "connect_timeout", Type::Duration, Shown::Default("\"5s\""), "timeout of a connection attempt to one address",
            |table, key, upstream| table.set(key, &mut upstream.settings.connect_timeout, duration(MS..=HOUR)))),
    row(Section::Upstream, "handshake_timeout", Type::Duration, Shown::Default("\"10s\""), "timeout of opening a session, including the connection",
        |table, key, upstream| table.set(key, &mut upstream.settings.handshake_timeout, duration(MS..=HOUR))),
    row(Section::Upstream, "response_timeout", Type::Duration, Shown::Default("\"2m\""), "timeout until the response to a forwarded request begins",
        |table, key, upstream| table.set(key, &mut upstream.settings.response_timeout, duration(MS..=HOUR))),
    only(SPEAKS, NO_ENGINE_IO,
        row(Section::Upstream, "versions", Type::Numbers, Shown::Default("[4]"), "its Engine.IO versions: [3, 4] with allowEIO3, [3] is 2.x",
            |table, key, upstream| if let Some(versions) = versions(table, key) { upstream.settings.versions = versions; })),
    only(SPEAKS, NO_ENGINE_IO,
        row(Section::Upstream, "protocol", Type::Word, Shown::Default("\"opaque\""), "socket.io enables translation; websocket: for the demo",
            |table, key, upstream| upstream.protocol = table.value(key, word(&PROTOCOLS, &[])).flatten())),
    only(SPEAKS, NO_ENGINE_IO,
        row(Section::Upstream, "translate", Type::Flag, Shown::Default("true"), "translate clients of other versions; otherwise refuse them",
            |table, key, upstream| table.set(key, &mut upstream.settings.translate, flag))),
    only(&["engine.io", "websocket", "mux", "demo"], "which has no messages",
        row(Section::Upstream, "max_message", Type::Size, Shown::Default("\"16MiB\""), "largest message of the backend; a larger one closes with 1009",
            |table, key, upstream| table.set(key, &mut upstream.settings.max_message, size(1..=GB)))),
    only(&["engine.io", "websocket"], "whose messages are never compressed",
        row(Section::Upstream, "permessage_deflate", Type::Size, Shown::Default("\"0kB\""), "compress messages to it of this size or more; 0: off",
            |table, key, upstream| if let Some(value) = table.value(key, size(0..=GB)) { upstream.settings.permessage_deflate = (value > 0).then_some(value); })),
    row(Section::Upstream, "required", Type::Flag, Shown::Default("true"), "its outage makes /readyz 503; false if there are others",
        |table, key, upstream| table.set(key, &mut upstream.settings.required, flag)),
    only(&["demo"], "whose server is another process",
        row(Section::Upstream, "controls", Type::Flag, Shown::Example("true"), "whether the demo's page may drain and kill this process",
            |table, key, upstream| table.set(key, &mut upstream.settings.controls, flag))),
    only(&["mux"], "only with \"mux\"",
        row(Section::Upstream, "mux", Type::Table, Shown::Example("{ connections = 2 }"), "settings of kind mux only",
            |table, key, upstream| mux::upstream(table, key, &mut upstream.settings.mux))),
];

/// What an upstream's table says.
#[derive(Debug)]
pub(super) struct Written {
    /// `None` where that is missing or wrong.
    kind: Option<Kind>,
    protocol: Option<Embedding>,
    pub(super) settings: Settings,
}

impl Written {
    /// Creates an upstream of kind `http` that the rows of another table describe.
    pub(super) fn http(settings: Settings) -> Self {
        Self { kind: Some(Kind::Http), protocol: None, settings: Settings { kind: Kind::Http, ..settings } }
    }
}

/// Returns the upstreams as they are written, before any is judged.
pub(super) fn entries<'n>(node: Option<&'n Node>, sink: &Sink) -> &'n [Entry] {
    let entries = node.map_or(Some(&[][..]), Node::entries);
    if let (Some(node), None) = (node, entries) {
        let expected = "one table for each upstream, [upstreams.NAME]".to_owned();
        sink.push(
            &node.place,
            "upstreams",
            Problem::Wrong { found: node.show(), expected, hint: String::new() },
        );
    }
    entries.unwrap_or_default()
}

/// Reads every upstream of the file.
pub(super) fn read<'t>(root: &Table<'t>, entries: &'t [Entry], sink: &Sink) -> BTreeMap<String, Settings> {
    let one = |entry: &Entry| {
        check_name(entry, sink);
        // A point would look like another level.
        let name = if entry.name.contains('.') { show_text(&entry.name) } else { entry.name.clone() };
        let table = root.within(&entry.node, format!("upstreams.{name}"), Section::Upstream);
        (entry.name.clone(), read_one(&table, entries.len() == 1))
    };
    entries.iter().map(one).collect()
}

fn read_one(table: &Table<'_>, is_only_one: bool) -> Settings {
    let settings = Settings { required: is_only_one, ..Settings::default() };
    let mut written = Written { kind: None, protocol: None, settings };
    read_rows(UPSTREAM, table, &mut written);
    let Written { kind, protocol, mut settings } = written;
    settings.socket_io = protocol == Some(Embedding::SocketIo);
    match (&mut settings.kind, protocol) {
        (Kind::Demo(speaks), Some(protocol)) => *speaks = protocol,
        (_, Some(Embedding::WebSocket)) => {
            let expected = "opaque or socket.io; your own WebSocket server is of kind \"websocket\"";
            table.report("protocol", "\"websocket\"".to_owned(), expected);
        }
        (_, Some(Embedding::SocketIo) | None) => {}
    }
    if let Some((name, _)) = KINDS.iter().find(|(_, one)| Some(*one) == kind) {
        report_idle(table, name);
    }
    settings
}

/// Reads which address is next: a word, or `hash` with what decides it.
fn balance(table: &Table<'_>, key: &'static str, upstream: &mut Written) {
    let read = |node: &Node| {
        let by = text(node).ok().and_then(|text| match text.strip_prefix("hash")? {
            "" => Some(HashBy::Address),
            by => HashBy::parse(by.strip_prefix(':')?),
        });
        match (by, word(&BALANCES, &[])(node)) {
            (Some(by), _) => Ok((Balance::Hash, Some(by))),
            (None, Ok(balance)) => Ok((balance, None)),
            (None, Err(wrong)) if text(node).is_ok_and(|text| text.starts_with("hash")) => {
                Err(Wrong { hint: HASHES.to_owned(), ..wrong })
            }
            (None, Err(wrong)) => Err(wrong),
        }
    };
    let Some((balance, hash)) = table.value(key, read) else { return };
    if hash.is_some() && upstream.kind == Some(Kind::Mux) {
        let found = table.get(key).map(Node::show).unwrap_or_default();
        table.report(
            key,
            found,
            "least, round-robin or first with kind \"mux\", whose clients share connections",
        );
    }
    (upstream.settings.balance, upstream.settings.hash) = (balance, hash);
}

/// Reads a key that means something only if the number of sessions or requests is limited.
fn limited<T>(table: &Table<'_>, key: &'static str, place: &mut T, read: impl Fn(&Node) -> Result<T, Wrong>) {
    table.set(key, place, read);
    if table.get(key).is_some() && ["max_sessions", "max_requests"].iter().all(|max| table.get(max).is_none())
    {
        table.report_idle(key, "without max_sessions or max_requests".to_owned());
    }
}

/// Reads how slowly an address comes back, where the policy gives addresses shares.
fn slow_start(table: &Table<'_>, key: &'static str, upstream: &mut Written) {
    table.set(key, &mut upstream.settings.slow_start, duration(Duration::ZERO..=HOUR));
    if upstream.settings.balance == Balance::First && !upstream.settings.slow_start.is_zero() {
        table.report_idle(key, "with balance \"first\", which gives an address all clients".to_owned());
    }
}

/// Reads how often names are resolved, where there are any.
fn resolve_interval(table: &Table<'_>, key: &'static str, upstream: &mut Written) {
    let default = upstream.settings.resolve_interval;
    table.set(key, &mut upstream.settings.resolve_interval, duration(MS..=HOUR));
    // The default says nothing, wherever it stands.
    if upstream.settings.resolve_interval != default && table.get("socket").is_some() {
        table.report_idle(key, "beside socket, for which no name is resolved".to_owned());
    }
}

/// Reads the URLs of an upstream whose kind is known.
pub(super) fn urls(table: &Table<'_>, key: &'static str, upstream: &mut Written) {
    let kind = upstream.kind;
    let urls = table.list(key, url(if kind == Some(Kind::Http) { "http" } else { "ws" }));
    match (kind, table.get(key)) {
        (Some(Kind::EngineIo | Kind::WebSocket | Kind::Mux | Kind::Http), None) => {
            table.report_missing(key);
        }
        (Some(Kind::EngineIo | Kind::WebSocket | Kind::Mux | Kind::Http), Some(_))
            if urls.as_ref().is_some_and(Vec::is_empty) =>
        {
            table.report(key, "an empty list".to_owned(), "at least one URL");
        }
        (Some(Kind::Demo(_) | Kind::EngineIo | Kind::WebSocket | Kind::Mux | Kind::Http) | None, _) => {}
    }
    table.report_doubles(key, urls.as_deref().unwrap_or_default(), ToString::to_string, "each URL once");
    upstream.settings.urls = urls.into_iter().flatten().map(|(_, url)| url).collect();
}

/// Reads the sockets of an upstream whose URLs are known.
pub(super) fn sockets(table: &Table<'_>, key: &'static str, upstream: &mut Written) {
    let Some(sockets) = table.list(key, socket) else { return };
    if sockets.is_empty() {
        table.report(key, "an empty list".to_owned(), "at least one path");
    }
    if upstream.settings.urls.len() > 1 {
        let found = format!("a socket beside {} URLs", upstream.settings.urls.len());
        table.report(key, found, "one url beside it: the path, Host and scheme of all its sockets");
    }
    table.report_doubles(key, &sockets, |path| path.display().to_string(), "each path once");
    upstream.settings.sockets = sockets.into_iter().map(|(_, socket)| socket).collect();
}

/// Reports each key that means nothing beside the upstream's kind.
fn report_idle(table: &Table<'_>, kind: &str) {
    for name in table.names() {
        let only = table.key(name).and_then(|key| key.only);
        if let Some(only) = only.filter(|only| !only.kinds.contains(&kind)) {
            table.report_idle(name, format!("with kind {}, {}", show_text(kind), only.why));
        }
    }
}

/// More than one process holds.
pub(super) const SESSIONS_MAX: usize = 10_000_000;
/// Each that waits holds a connection.
pub(super) const QUEUE_MAX: usize = 1_000_000;

fn kind(node: &Node) -> Result<Kind, Wrong> {
    let kind = word(&KINDS, &[])(node).map_err(|wrong| {
        if !is_socket_io(node) {
            return wrong;
        }
        Wrong { hint: "; did you mean \"engine.io\", with protocol = \"socket.io\"?".to_owned(), ..wrong }
    })?;
    if matches!(kind, Kind::Demo(_)) && !cfg!(feature = "demo") {
        let found = Some("\"demo\", and this binary was built without the feature demo".to_owned());
        return Err(Wrong { found, ..Wrong::expected("one of engine.io, websocket, mux, http") });
    }
    Ok(kind)
}

/// A name becomes a metric's label, and part of a variable's name.
fn check_name(entry: &Entry, sink: &Sink) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if entry.name.is_empty() || !entry.name.chars().all(plain) {
        let expected = "a name of letters, digits, \"-\", \"_\" and \".\"".to_owned();
        let problem = Problem::Wrong { found: show_text(&entry.name), expected, hint: String::new() };
        sink.push(&entry.place, "upstreams", problem);
    }
}
