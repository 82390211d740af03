//! `[limits]`: what one client may take, and all together.

use super::key::Section;
use super::key::Shown::{Default, Example};
use super::key::Type::{Count, Flag, Size};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::values::{GB, count, flag, size_or_none};
use crate::budget::MemoryMax;
use crate::limits::Settings;
use crate::server;

/// The parts of `[limits]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// What clients may take.
    pub clients: Settings,
    /// What all buffers may take.
    pub memory_max: MemoryMax,
}

/// The keys of `[limits]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const LIMITS: &[Row<Written>] = {
    use Section::Limits;
    &[
        row(Limits, "max_connections", Count, Example("40_000"), "most connections; unset: 1000, or four for each of max_sessions",
            |table, key, written| written.max_connections = table.value(key, count(0..=CONNECTIONS_MAX))),
        row(Limits, "client_connections", Count, Example("10_000"), "most connections of one client; unset: a quarter of those",
            |table, key, written| written.client_connections = table.value(key, count(0..=CONNECTIONS_MAX))),
        row(Limits, "client_sessions", Count, Example("2_500"), "most sessions of one client; unset: a quarter of max_sessions",
            |table, key, written| written.client_sessions = table.value(key, count(0..=CONNECTIONS_MAX))),
        row(Limits, "max_tunnels", Count, Example("10_000"), "most forwarded upgrades (tunnels); unset: max_sessions",
            |table, key, written| written.max_tunnels = table.value(key, count(0..=CONNECTIONS_MAX))),
        row(Limits, "client_tunnels", Count, Example("2_500"), "most tunnels of one client; unset: a quarter of those",
            |table, key, written| written.client_tunnels = table.value(key, count(0..=CONNECTIONS_MAX))),
        row(Limits, "client_requests", Count, Default("1_000"), "most forwarded requests of one client at once",
            |table, key, written| written.client_requests = table.value(key, count(0..=CONNECTIONS_MAX))),
        row(Limits, "handshakes_per_second", Count, Default("1_000"), "most new sessions a second; ten seconds' worth may come at once",
            |table, key, written| written.handshakes = table.value(key, count(0..=RATE_MAX))),
        row(Limits, "client_handshakes_per_second", Count, Example("50"), "the same for one client; unset: a twentieth",
            |table, key, written| written.client_handshakes = table.value(key, count(0..=RATE_MAX))),
        row(Limits, "memory_max", Size, Example("\"256MB\""), "most bytes in all buffers; unset: a quarter of the memory",
            |table, key, written| if let Some(value) = table.value(key, size_or_none(MEMORY_MIN..=MEMORY_MOST)) {
                written.memory_max = value.map_or(MemoryMax::Unlimited, MemoryMax::Bytes);
            }),
        row(Limits, "count_private", Flag, Default("false"), "limit clients of private networks, too: see docs/security.md",
            |table, key, written| table.set(key, &mut written.count_private, flag)),
    ]
};

/// What the table says. Zero is no limit.
#[derive(Default, Debug)]
pub(super) struct Written {
    max_connections: Option<usize>,
    client_connections: Option<usize>,
    client_sessions: Option<usize>,
    max_tunnels: Option<usize>,
    client_tunnels: Option<usize>,
    client_requests: Option<usize>,
    handshakes: Option<usize>,
    client_handshakes: Option<usize>,
    memory_max: MemoryMax,
    count_private: bool,
}

/// Reads `[limits]` beside `[server]`.
pub(super) fn read(table: &Table<'_>, server: &server::Settings) -> Limits {
    let mut written = Written::default();
    read_rows(LIMITS, table, &mut written);
    let unset = Settings::beside(server.max_sessions);
    let or = |written: Option<usize>, unset| match written {
        Some(0) => Settings::NONE,
        Some(limit) => limit,
        None => unset,
    };
    // What one client may take of a limit; of none, what it may take by default.
    let share =
        |whole: usize, parts, unset| if whole == Settings::NONE { unset } else { whole.div_ceil(parts) };
    let handshakes_per_second = or(written.handshakes, unset.handshakes_per_second);
    let max_connections = or(written.max_connections, unset.max_connections);
    let max_tunnels = or(written.max_tunnels, unset.max_tunnels);
    let clients = Settings {
        max_connections,
        client_connections: or(
            written.client_connections,
            share(max_connections, Settings::SHARE, unset.client_connections),
        ),
        client_sessions: or(written.client_sessions, unset.client_sessions),
        max_tunnels,
        client_tunnels: or(written.client_tunnels, share(max_tunnels, Settings::SHARE, unset.client_tunnels)),
        client_requests: or(written.client_requests, unset.client_requests),
        handshakes_per_second,
        client_handshakes_per_second: or(
            written.client_handshakes,
            share(handshakes_per_second, Settings::RATE_SHARE, unset.client_handshakes_per_second),
        ),
        count_private: written.count_private,
    };
    judge(table, &clients, server.max_sessions);
    Limits { clients, memory_max: written.memory_max }
}

/// Reports limits that are never reached, since another is reached first.
fn judge(table: &Table<'_>, clients: &Settings, max_sessions: usize) {
    for (key, limit, beside, whole) in [
        ("client_connections", clients.client_connections, "max_connections", clients.max_connections),
        ("client_tunnels", clients.client_tunnels, "max_tunnels", clients.max_tunnels),
        ("client_sessions", clients.client_sessions, "server.max_sessions", max_sessions),
        (
            "client_handshakes_per_second",
            clients.client_handshakes_per_second,
            "handshakes_per_second",
            clients.handshakes_per_second,
        ),
    ] {
        if table.get(key).is_some() && limit != Settings::NONE && limit > whole {
            table.report_idle(key, format!("above {beside}, which is {whole}"));
        }
    }
    let limits = [
        clients.client_connections,
        clients.client_sessions,
        clients.client_tunnels,
        clients.client_requests,
        clients.client_handshakes_per_second,
    ];
    if clients.count_private && limits.iter().all(|limit| *limit == Settings::NONE) {
        table.report_idle("count_private", "where no client is limited".to_owned());
    }
}

/// The kernel has no more sockets for one process.
const CONNECTIONS_MAX: usize = 100_000_000;
/// Less would not hold a message of the usual largest size.
const MEMORY_MIN: usize = 1_000_000;
/// More than any machine has.
const MEMORY_MOST: usize = 100_000 * GB;
/// More than a process could begin.
const RATE_MAX: usize = 1_000_000;
