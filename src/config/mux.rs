//! `[upstreams.NAME.mux]` and `[routes.mux]`: the two sides of shared connections.

use std::time::Duration;

use http::HeaderValue;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::Node;
use super::values::{GB, HOUR, Wrong, count, duration, size, text};
use crate::service::DemuxSettings;
use crate::upstream::MuxSettings;

/// The keys of the table in an upstream.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const UPSTREAM: &[Row<MuxSettings>] = &[
    row(Section::UpstreamMux, "connections", Type::Count, Shown::Default("1"), "number of WebSockets that share the sessions",
        |table, key, mux| table.set(key, &mut mux.connections, count(1..=CONNECTIONS_MAX))),
    row(Section::UpstreamMux, "credit", Type::Size, Shown::Default("\"256KiB\""), "bytes that may wait per session, in each direction",
        |table, key, mux| table.set(key, &mut mux.credit, size(CREDIT_MIN..=GB))),
    row(Section::UpstreamMux, "resume_timeout", Type::Duration, Shown::Default("\"30s\""), "how long sessions survive a broken connection; 0: off",
        |table, key, mux| table.set(key, &mut mux.resume_timeout, duration(Duration::ZERO..=HOUR))),
    row(Section::UpstreamMux, "token", Type::Text, Shown::Example("\"a-long-secret\""), "bearer token for the backend",
        |table, key, mux| mux.token = table.value(key, bearer)),
];

/// The keys of the table in a route.
#[rustfmt::skip]
pub(super) const ROUTE: &[Row<DemuxSettings>] = &[
    row(Section::RouteMux, "token", Type::Text, Shown::Example("\"a-long-secret\""), "required of clients; unset accepts anyone",
        |table, key, mux| mux.token = table.value(key, bearer)),
    row(Section::RouteMux, "credit", Type::Size, Shown::Default("\"256KiB\""), "bytes that may wait per session, in each direction",
        |table, key, mux| table.set(key, &mut mux.credit, size(CREDIT_MIN..=GB))),
];

/// Reads the table in an upstream.
pub(super) fn upstream(upstream: &Table<'_>, key: &'static str, settings: &mut MuxSettings) {
    if upstream.get(key).is_some() {
        read_rows(UPSTREAM, &upstream.section(key, Section::UpstreamMux), settings);
    }
}

/// Reads the table in a route.
pub(super) fn route(route: &Table<'_>, key: &'static str, settings: &mut DemuxSettings) {
    if route.get(key).is_some() {
        read_rows(ROUTE, &route.section(key, Section::RouteMux), settings);
    }
}

/// Returns a token as the value of `Authorization` (RFC 6750, section 2.1).
pub(super) fn bearer(node: &Node) -> Result<HeaderValue, Wrong> {
    let expected = || Wrong::expected("a token of letters, digits and -._~+/, with = behind them");
    let token = text(node).map_err(|_| expected())?;
    let body = token.trim_end_matches('=');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    if body.is_empty() || !body.chars().all(plain) {
        // What it is stays unsaid.
        return Err(Wrong { found: Some("another text".to_owned()), ..expected() });
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| expected())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns a token that cannot be guessed as the value of `Authorization`.
pub(super) fn secret(node: &Node) -> Result<HeaderValue, Wrong> {
    let value = bearer(node)?;
    if value.len() < "Bearer ".len() + SECRET_LEN_MIN {
        let expected = Wrong::expected(format!("a token of at least {SECRET_LEN_MIN} characters"));
        return Err(Wrong { found: Some("a shorter text".to_owned()), ..expected });
    }
    Ok(value)
}

const CONNECTIONS_MAX: usize = 1024;
/// It cannot be guessed.
const SECRET_LEN_MIN: usize = 16;
/// Less would be a frame for each few bytes.
const CREDIT_MIN: usize = 1 << 10;
