//! `[[routes]]`: which requests go where.

use std::sync::Arc;

use super::fault::{Place, Problem, Sink};
use super::key::{Section, Shown, Type};
use super::mux;
use super::row::{Row, read_rows, row};
use super::served::dialects;
use super::sessions::Defaults;
use super::speech;
use super::suggestion::nearest;
use super::table::Table;
use super::tree::{Node, show_text};
use super::values::{Wrong, host, is_socket_io, prefix, text, word};
use crate::dialect::{self, Backend, Settings as Speech};
use crate::service::{DemuxSettings, Route};
use crate::upstream::{Kind, Settings};

/// The keys of a route, beside those of `[defaults]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const ROUTE: &[Row<Written>] = &[
    row(Section::Route, "path", Type::Text, Shown::Example("\"/socket.io/\""), "path prefix of the requests; the longest match wins",
        |table, key, route| route.path = table.required(key, prefix)),
    row(Section::Route, "host", Type::Text, Shown::Example("\"chat.example.org\""), "only requests for this host, on any port",
        |table, key, route| route.host = table.value(key, host)),
    row(Section::Route, "dialect", Type::Word, Shown::Example("\"engine.io\""), "engine.io (Socket.IO), sockjs, longpoll, websocket, mux, http",
        |table, key, route| route.dialect = table.required(key, dialect)),
    row(Section::Route, "upstream", Type::Text, Shown::Example("\"demo\""), "name of an upstream below",
        |table, key, route| route.upstream = table.required(key, |node| one_of(node, &route.names))),
    row(Section::Route, "mux", Type::Table, Shown::Example("{ token = \"a-long-secret\" }"), "settings of dialect mux only",
        |table, key, route| mux::route(table, key, &mut route.mux)),
];

/// What a route says beside the keys of `[defaults]`.
#[derive(Default, Debug)]
pub(super) struct Written {
    /// The names of all upstreams.
    names: Vec<String>,
    path: Option<String>,
    host: Option<String>,
    dialect: Option<&'static str>,
    upstream: Option<String>,
    mux: DemuxSettings,
}

/// Reads all routes of the file; `upstreams` are those that they may use, in the order of the file.
pub(super) fn read(
    root: &Table<'_>,
    defaults: &Defaults,
    upstreams: &[(&String, &Settings)],
    sink: &Sink,
) -> Vec<Route> {
    let items = items(root.get("routes"), sink);
    let mut seen: Vec<(usize, String, Option<String>)> = Vec::new();
    let mut routes = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let table = root.within(item, format!("routes[{index}]"), Section::Route);
        let names = upstreams.iter().map(|(name, _)| (*name).clone()).collect();
        let mut written = Written { names, ..Written::default() };
        read_rows(ROUTE, &table, &mut written);
        let Written { names: _, path, host, dialect, upstream, mux } = written;
        let Defaults {
            session,
            speech,
            allowed_origins,
            cors,
            compression,
            request_headers,
            response_headers,
            via,
        } = defaults.overridden_by(&table);
        if let Some(dialect) = dialect {
            speech::report_idle(&table, dialect);
        }
        if let Some(path) = &path {
            let same =
                seen.iter().find(|(_, other_path, other_host)| (other_path, other_host) == (path, &host));
            if let Some((other, ..)) = same {
                let expected = format!("a path and host of its own, routes[{other}] has the same");
                table.report("path", show_text(path), &expected);
            }
            seen.push((index, path.clone(), host.clone()));
        }
        if let (Some(path), Some(dialect), Some(upstream)) = (path, dialect, upstream) {
            if let Some((_, settings)) = upstreams.iter().find(|(name, _)| **name == upstream) {
                judge(&table, dialect, &speech, &upstream, settings);
            }
            let session = Arc::new(session);
            routes.push(Route {
                path,
                host,
                dialect,
                speech,
                upstream,
                allowed_origins,
                cors,
                compression,
                request_headers,
                response_headers,
                via,
                mux,
                session,
            });
        }
    }
    routes
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
    let found = match node.items() {
        Some([]) => "an empty list".to_owned(),
        Some(items) => return items,
        None => node.show(),
    };
    let expected = "a list of tables, each under [[routes]] with two brackets".to_owned();
    sink.push(&node.place, "routes", Problem::Wrong { found, expected, hint: String::new() });
    &[]
}

fn one_of(node: &Node, upstreams: &[String]) -> Result<String, Wrong> {
    let expected = if upstreams.is_empty() {
        "the name of an upstream, and there is no [upstreams.NAME]".to_owned()
    } else {
        format!("the name of an upstream: {}", upstreams.join(", "))
    };
    let wrong = Wrong::expected(expected);
    let Ok(name) = text(node) else { return Err(wrong) };
    if upstreams.contains(&name) {
        return Ok(name);
    }
    Err(wrong.or(nearest(&name, upstreams.iter().map(String::as_str))))
}

/// The dialect of requests that are forwarded.
const HTTP: &str = "http";
