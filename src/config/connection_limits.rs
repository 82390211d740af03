//! The keys of `[limits]` that are about each connection, and about the headers of requests.

use super::key::Section;
use super::key::Shown::Default;
use super::key::Type::{Count, Duration, Size};
use super::row::{Row, row};
use super::values::{HOUR, MS, count, duration, duration_or_never, size};
use crate::hop;
use crate::server::ConnectionLimits;

/// These keys.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const CONNECTIONS: &[Row<ConnectionLimits>] = {
    use Section::Limits;
    &[
        row(Limits, "tls_timeout", Duration, Default("\"10s\""), "how long a TLS handshake may take",
            |table, key, limits| table.set(key, &mut limits.tls_timeout, duration(MS..=HOUR))),
        row(Limits, "header_timeout", Duration, Default("\"10s\""), "longest time from a header's first byte to its last; then 408",
            |table, key, limits| table.set(key, &mut limits.header_timeout, duration(MS..=HOUR))),
        row(Limits, "header_max", Size, Default("\"64KiB\""), "longest header of a request; beyond it 431",
            |table, key, limits| table.set(key, &mut limits.header_max, size(HEADER_MIN..=hop::HEADER_MAX))),
        row(Limits, "header_lines", Count, Default("500"), "most lines in a request's header; beyond it 431",
            |table, key, limits| table.set(key, &mut limits.header_lines, count(1..=hop::LINES_MAX))),
        row(Limits, "target_max", Size, Default("\"16KiB\""), "longest path and query of a request; beyond it 414",
            |table, key, limits| table.set(key, &mut limits.target_max, size(1..=hop::HEADER_MAX))),
        row(Limits, "connection_requests", Count, Default("10_000"), "requests after which a connection closes; 0: no limit",
            |table, key, limits| if let Some(requests) = table.value(key, count(0..=REQUESTS_MAX)) {
                let requests = u32::try_from(requests).unwrap_or(u32::MAX);
                limits.connection_requests = if requests == 0 { u32::MAX } else { requests };
            }),
        row(Limits, "connection_lifetime", Duration, Default("\"1h\""), "then a connection closes behind its next response; 0: no limit",
            |table, key, limits| if let Some(lifetime) = table.value(key, duration_or_never(MS..=24 * HOUR)) {
                limits.connection_lifetime = if lifetime.is_zero() { FOREVER } else { lifetime };
            }),
    ]
};

/// The shortest header that makes sense.
const HEADER_MIN: usize = 256;
/// As good as no limit.
const REQUESTS_MAX: usize = 1_000_000_000;
/// Longer than any process runs, and short enough to be added to any instant.
const FOREVER: std::time::Duration = std::time::Duration::from_hours(100 * 365 * 24);
