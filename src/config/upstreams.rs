//! `[upstreams.NAME]`: the backends.

use std::collections::BTreeMap;

use super::fault::{Problem, Sink};
use super::key::Section;
use super::mux;
use super::table::Table;
use super::tree::{Entry, Node, show_text};
use super::trust;
use super::values::{GB, HOUR, MS, Wrong, duration, flag, is_socket_io, size, url, word};
use super::versions::versions;
use crate::upstream::{Embedding, Host, Kind, Settings};

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
    let mut settings = Settings { required: is_only_one, ..Settings::default() };
    let kind = table.required("kind", kind);
    let urls = table.list("url", url(if kind == Some(Kind::Http) { "http" } else { "ws" }));
    match (kind, table.get("url")) {
        (Some(Kind::EngineIo | Kind::WebSocket | Kind::Mux | Kind::Http), None) => {
            table.report_missing("url");
        }
        // A list of faulty URLs has had its faults.
        (Some(Kind::EngineIo | Kind::WebSocket | Kind::Mux | Kind::Http), Some(node))
            if urls.as_ref().is_some_and(Vec::is_empty) && node.items().is_none_or(<[_]>::is_empty) =>
        {
            table.report("url", "an empty list".to_owned(), "at least one URL");
        }
        (Some(Kind::Demo(_) | Kind::EngineIo | Kind::WebSocket | Kind::Mux | Kind::Http) | None, _) => {}
    }
    settings.kind = kind.unwrap_or(settings.kind);
    settings.urls = urls.into_iter().flatten().map(|(_, url)| url).collect();
    settings.tls = trust::read(table, &settings);
    settings.mux = mux::upstream(table);
    table.set(
        "host",
        &mut settings.host,
        word(&[("client", Host::Client), ("upstream", Host::Upstream)], &[]),
    );
    table.set("connect_timeout", &mut settings.connect_timeout, duration(MS..=HOUR));
    table.set("handshake_timeout", &mut settings.handshake_timeout, duration(MS..=HOUR));
    table.set("response_timeout", &mut settings.response_timeout, duration(MS..=HOUR));
    settings.versions = versions(table).unwrap_or(settings.versions);
    let protocol = table.value("protocol", word(&PROTOCOLS, &[]));
    settings.socket_io = protocol == Some(Some(Embedding::SocketIo));
    match (&mut settings.kind, protocol) {
        (Kind::Demo(speaks), Some(Some(protocol))) => *speaks = protocol,
        (_, Some(Some(Embedding::WebSocket))) => {
            let expected = "it only with kind \"demo\"; your own WebSocket server is of kind \"websocket\"";
            table.report("protocol", "\"websocket\"".to_owned(), expected);
        }
        (_, Some(None | Some(Embedding::SocketIo)) | None) => {}
    }
    table.set("translate", &mut settings.translate, flag);
    table.set("max_message", &mut settings.max_message, size(1..=GB));
    table.set("required", &mut settings.required, flag);
    if let Some((name, _)) = KINDS.iter().find(|(_, one)| Some(*one) == kind) {
        report_idle(table, name);
    }
    settings
}

/// Reports each key that means nothing beside the upstream's kind.
fn report_idle(table: &Table<'_>, kind: &str) {
    for name in table.names() {
        let only = table.key(name).and_then(|key| key.only);
        if let (Some(only), Some(node)) = (only.filter(|only| !only.kinds.contains(&kind)), table.get(name)) {
            let found = if name == "url" { "a URL".to_owned() } else { node.show() };
            table.report(name, found, only.instead);
        }
    }
}

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
