//! `[[routes]]`: which requests go where.

use std::sync::Arc;

use http::HeaderName;

use super::fault::{Place, Problem, Sink};
use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::served::dialects;
use super::sessions::Defaults;
use super::speech;
use super::suggestion::nearest;
use super::table::Table;
use super::tree::{Node, show_text};
use super::values::{Wrong, host, is_socket_io, prefix, text, word};
use super::{auth, jwt, mux};
use crate::dialect::{self, Backend, Settings as Speech};
use crate::server::ListenerSettings;
use crate::service::{AuthSettings, DemuxSettings, JwtSettings, Route};
use crate::upstream::{Kind, Settings};

/// The keys of a route, beside those of `[defaults]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const ROUTE: &[Row<Written>] = &[
    row(Section::Route, "path", Type::Text, Shown::Example("\"/socket.io/\""), "path prefix of the requests; the longest match wins",
        |table, key, route| route.path = table.required(key, prefix)),
    row(Section::Route, "host", Type::Text, Shown::Example("\"chat.example.org\""), "only requests for this host, on any port",
        |table, key, route| route.host = table.value(key, host)),
    row(Section::Route, "listener", Type::Texts, Shown::Example("\"default\""), "only requests at these listeners; unset: at all",
        |table, key, route| {
            let Some(listeners) = table.list(key, |node| one_of(node, "listener", "[[listeners]]", &route.known_listeners)) else { return };
            if listeners.is_empty() {
                table.report(key, "an empty list".to_owned(), "at least one listener; without this key it is at all of them");
            }
            table.report_doubles(key, &listeners, String::clone, "each listener once");
            route.listeners = listeners.into_iter().map(|(_, name)| name.into()).collect();
        }),
    row(Section::Route, "dialect", Type::Word, Shown::Example("\"engine.io\""), "engine.io (Socket.IO), sockjs, longpoll, websocket, mux, http",
        |table, key, route| route.dialect = table.required(key, dialect)),
    row(Section::Route, "upstream", Type::Text, Shown::Example("\"demo\""), "name of an upstream below",
        |table, key, route| route.upstream = table.required(key, |node| one_of(node, "upstream", "[upstreams.NAME]", &route.names))),
    row(Section::Route, "jwt", Type::Table, Shown::Example("{ jwks = \"https://id.example.org/jwks.json\" }"), "clients need a token",
        |table, key, route| route.jwt = jwt::read(table, key)),
    row(Section::Route, "auth", Type::Table, Shown::Example("{ url = \"http://127.0.0.1:4180/\" }"), "asks a server who may come in: see docs/auth.md",
        |table, key, route| route.auth = auth::read(table, key)),
    row(Section::Route, "mux", Type::Table, Shown::Example("{ token = \"a-long-secret\" }"), "settings of dialect mux only",
        |table, key, route| mux::route(table, key, &mut route.mux)),
];

/// What a route says beside the keys of `[defaults]`.
#[derive(Default, Debug)]
pub(super) struct Written {
    /// The names of all upstreams.
    names: Vec<String>,
    /// The names of all listeners.
    known_listeners: Vec<String>,
    path: Option<String>,
    host: Option<String>,
    listeners: Vec<Arc<str>>,
    dialect: Option<&'static str>,
    upstream: Option<String>,
    jwt: Option<JwtSettings>,
    auth: Option<AuthSettings>,
    mux: DemuxSettings,
}

/// Where an earlier route stands in the file, its path, its host and its listeners.
type Seen = (usize, String, Option<String>, Vec<Arc<str>>);

/// Reads all routes of the file; `listeners` and `upstreams` are those that they may use, in the order of the file.
pub(super) fn read(
    root: &Table<'_>,
    defaults: &Defaults,
    listeners: &[ListenerSettings],
    upstreams: &[(&String, &Settings)],
    sink: &Sink,
) -> Vec<Route> {
    let items = items(root.get("routes"), sink);
    let mut seen: Vec<Seen> = Vec::new();
    let mut routes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let table = root.within(item, format!("routes[{index}]"), Section::Route);
        let names = upstreams.iter().map(|(name, _)| (*name).clone()).collect();
        let known_listeners = listeners.iter().map(|listener| listener.name.to_string()).collect();
        let mut written = Written { names, known_listeners, ..Written::default() };
        read_rows(ROUTE, &table, &mut written);
        let Written {
            names: _,
            known_listeners: _,
            path,
            host,
            listeners,
            dialect,
            upstream,
            jwt,
            auth,
            mux,
        } = written;
        let Defaults {
            session,
            speech,
            networks,
            allowed_origins,
            cors,
            compression,
            permessage_deflate,
            request_headers,
            response_headers,
            requests,
            body,
            via,
        } = defaults.overridden_by(&table);
        if let Some(dialect) = dialect {
            speech::report_idle(&table, dialect);
        }
        if let Some(path) = &path {
            let meet = |others: &[Arc<str>]| {
                listeners.is_empty() || others.is_empty() || listeners.iter().any(|one| others.contains(one))
            };
            let same = seen.iter().find(|(_, other_path, other_host, others)| {
                (other_path, other_host) == (path, &host) && meet(others)
            });
            if let Some((other, ..)) = same {
                let expected = format!("a path and host of its own, routes[{other}] has the same");
                table.report("path", show_text(path), &expected);
            }
            seen.push((index, path.clone(), host.clone(), listeners.clone()));
        }
        if let (Some(path), Some(dialect), Some(upstream)) = (path, dialect, upstream) {
            if let Some((_, settings)) = upstreams.iter().find(|(name, _)| **name == upstream) {
                judge(&table, dialect, &speech, &upstream, settings);
            }
            let session = Arc::new(session);
            routes.push(Route {
                path,
                host,
                listeners,
                dialect,
                speech,
                upstream,
                networks,
                jwt,
                auth,
                identity: Arc::default(),
                allowed_origins,
                cors,
                compression,
                permessage_deflate,
                request_headers,
                response_headers,
                requests,
                body,
                via,
                mux,
                session,
            });
        }
    }
    let identity: Arc<[_]> = identity(&routes).into();
    for route in &mut routes {
        route.identity = Arc::clone(&identity);
    }
    routes
}

/// Returns the headers by which the backend of any route knows who was let in: the backend of one may be that of another.
fn identity(routes: &[Route]) -> Vec<HeaderName> {
    let mut names: Vec<_> =
        routes.iter().filter_map(|route| route.auth.as_ref()).flat_map(|auth| auth.headers.clone()).collect();
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    names
}

/// Reports an upstream that no client of such a route can reach.
fn judge(table: &Table<'_>, dialect: &str, speech: &Speech, upstream: &str, settings: &Settings) {
    if dialect != HTTP && settings.kind == Kind::Http {
        let found = format!("{}, whose kind is http", show_text(upstream));
        table.report("upstream", found, "an upstream with sessions behind this dialect, or dialect http");
    }
    let backend = Backend {
        protocol: settings.protocol(),
        versions: settings.served(),
        socket_io: settings.speaks_socket_io(),
    };
    if let Some(clash) = dialect::find(dialect).and_then(|kind| (kind.build)(speech, backend).clash()) {
        let found = format!("none that {} speaks", show_text(upstream));
        table.report(clash.key, found, clash.expected);
    }
}

/// Reads what clients speak.
fn dialect(node: &Node) -> Result<&'static str, Wrong> {
    let words: Vec<_> = dialects().map(|name| (name, name)).collect();
    word(&words, &[])(node)
        .map_err(|wrong| if is_socket_io(node) { wrong.or(Some("engine.io")) } else { wrong })
}

/// Returns the tables of the list, at least one.
fn items<'n>(node: Option<&'n Node>, sink: &Sink) -> &'n [Node] {
    let Some(node) = node else {
        let top = Place::File { line: 1, column: 1 };
        sink.push(&top, "routes", Problem::Missing("at least one route, [[routes]]".to_owned()));
        return &[];
    };
    tables(node, "routes", sink)
}

/// Returns the tables of a list that somebody wrote.
pub(super) fn tables<'n>(node: &'n Node, name: &str, sink: &Sink) -> &'n [Node] {
    let found = match node.items() {
        Some([]) => "an empty list".to_owned(),
        Some(items) => return items,
        None => node.show(),
    };
    let expected = format!("a list of tables, each under [[{name}]] with two brackets");
    sink.push(&node.place, name, Problem::Wrong { found, expected, hint: String::new() });
    &[]
}

/// Returns the name of one of those that stand in the file.
fn one_of(node: &Node, what: &str, header: &str, names: &[String]) -> Result<String, Wrong> {
    let article = if what.starts_with('u') { "an" } else { "a" };
    let expected = if names.is_empty() {
        format!("the name of {article} {what}, and there is no {header}")
    } else {
        format!("the name of {article} {what}: {}", names.join(", "))
    };
    let wrong = Wrong::expected(expected);
    let Ok(name) = text(node) else { return Err(wrong) };
    if names.contains(&name) {
        return Ok(name);
    }
    Err(wrong.or(nearest(&name, names.iter().map(String::as_str))))
}

/// The dialect of requests that are forwarded.
const HTTP: &str = "http";
