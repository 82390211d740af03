//! `[routes.auth]`: the server that says who may come in.

use std::time::Duration;

use http::HeaderName;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::{Node, show_text};
use super::values::{HOUR, MS, Wrong, duration, text};
use super::{trust, upstreams};
use crate::hop;
use crate::service::AuthSettings;
use crate::upstream::{Host, Settings};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const AUTH: &[Row<Written>] = &[
    row(Section::RouteAuth, "url", Type::Texts, Shown::Example("\"http://127.0.0.1:4180/auth\""), "what is asked for, or a list; all their addresses are used",
        |table, key, auth| upstreams::urls(table, key, &mut auth.server)),
    row(Section::RouteAuth, "socket", Type::Texts, Shown::Example("\"/run/auth.sock\""), "Unix socket instead of the URL's host and port, or a list",
        |table, key, auth| upstreams::sockets(table, key, &mut auth.server)),
    row(Section::RouteAuth, "tls", Type::Table, Shown::Example("{ ca = \"ca.pem\" }"), "how an https server is authenticated, as in upstreams",
        |table, key, auth| trust::read(table, key, &mut auth.server.settings)),
    row(Section::RouteAuth, "headers", Type::Texts, Shown::Example("[\"X-User\"]"), "headers of its 2xx for the backend; a client's own are removed",
        |table, key, auth| if let Some(names) = table.list(key, name) {
            table.report_doubles(key, &names, ToString::to_string, "each header once");
            auth.headers = names.into_iter().map(|(_, name)| name).collect();
        }),
    row(Section::RouteAuth, "timeout", Type::Duration, Shown::Default("\"5s\""), "how long it may take; then clients get 503",
        |table, key, auth| table.set(key, &mut auth.timeout, duration(MS..=HOUR))),
];

/// What the table says.
#[derive(Debug)]
pub(super) struct Written {
    server: upstreams::Written,
    headers: Vec<HeaderName>,
    timeout: Duration,
}

/// Reads the table in a route.
pub(super) fn read(route: &Table<'_>, key: &'static str) -> Option<AuthSettings> {
    route.get(key)?;
    let server = Settings { host: Host::Upstream, ..Settings::default() };
    let mut written = Written {
        server: upstreams::Written::http(server),
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
    };
    read_rows(AUTH, &route.section(key, Section::RouteAuth), &mut written);
    let Written { server, headers, timeout } = written;
    // One deadline holds for all of it.
    let server = Settings {
        connect_timeout: timeout,
        handshake_timeout: timeout,
        response_timeout: timeout,
        ..server.settings
    };
    Some(AuthSettings { server, headers, timeout })
}

fn name(node: &Node) -> Result<HeaderName, Wrong> {
    let expected = || Wrong::expected("the name of a header such as \"X-User\"");
    let written = text(node).map_err(|_| expected())?;
    let name: HeaderName = written.parse().map_err(|_| expected())?;
    if hop::is_framing(&name) {
        let found = Some(show_text(&written));
        return Err(Wrong { found, ..Wrong::expected("headers that do not decide how a message is read") });
    }
    Ok(name)
}
