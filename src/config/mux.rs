//! `[upstreams.NAME.mux]` and `[routes.mux]`: the two sides of shared connections.

use std::time::Duration;

use http::HeaderValue;

use super::key::Section;
use super::table::Table;
use super::tree::Node;
use super::values::{GB, HOUR, Wrong, count, duration, size, text};
use crate::service::DemuxSettings;
use crate::upstream::MuxSettings;

/// Reads the table in an upstream.
pub(super) fn upstream(upstream: &Table<'_>) -> MuxSettings {
    let mut settings = MuxSettings::default();
    if upstream.get("mux").is_none() {
        return settings;
    }
    let table = upstream.section("mux", Section::UpstreamMux);
    table.set("connections", &mut settings.connections, count(1..=CONNECTIONS_MAX));
    table.set("credit", &mut settings.credit, size(CREDIT_MIN..=GB));
    table.set("resume_timeout", &mut settings.resume_timeout, duration(Duration::ZERO..=HOUR));
    settings.token = table.value("token", bearer);
    settings
}

/// Reads the table in a route.
pub(super) fn route(route: &Table<'_>) -> DemuxSettings {
    let mut settings = DemuxSettings::default();
    if route.get("mux").is_none() {
        return settings;
    }
    let table = route.section("mux", Section::RouteMux);
    table.set("credit", &mut settings.credit, size(CREDIT_MIN..=GB));
    settings.token = table.value("token", bearer);
    settings
}

/// Returns a token as the value of `Authorization` (RFC 6750, section 2.1).
fn bearer(node: &Node) -> Result<HeaderValue, Wrong> {
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

const CONNECTIONS_MAX: usize = 1024;
/// Less would be a frame for each few bytes.
const CREDIT_MIN: usize = 1 << 10;
