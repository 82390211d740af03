//! `[server]` and `[admin]`: where clients and operators come in.

use std::net::SocketAddr;
use std::time::Duration as Span;

use super::key::Section;
use super::key::Shown::{Default, Example};
use super::key::Type::{Count, Duration, Table as Inline, Text, Texts};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tls;
use super::tree::show_text;
use super::values::{HOUR, MS, address, count, duration, network};
use crate::server::Settings;
use crate::service::AdminSettings;

/// The keys of `[server]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const SERVER: &[Row<Settings>] = {
    use Section::Server;
    &[
        row(Server, "listen", Texts, Default("[\"127.0.0.1:8080\"]"), "addresses for clients; port 0 takes any free port", listen),
        row(Server, "tls", Inline, Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files; set it to serve TLS",
            |table, key, server| server.tls = tls::read(table, key)),
        row(Server, "max_sessions", Count, Default("10_000"), "maximum of concurrent sessions; beyond it handshakes get 503",
            |table, key, server| table.set(key, &mut server.max_sessions, count(1..=SESSIONS_MAX))),
        row(Server, "idle_timeout", Duration, Default("\"75s\""), "how long a connection may be idle between requests",
            |table, key, server| table.set(key, &mut server.idle_timeout, duration(MS..=HOUR))),
        row(Server, "rest_after", Duration, Default("\"1s\""), "how long a request waits before its buffers are released",
            |table, key, server| table.set(key, &mut server.rest_after, duration(Span::ZERO..=HOUR))),
        // Zero takes the end of a client's side for its own.
        row(Server, "half_close_timeout", Duration, Default("\"5s\""), "how long a half-closed client of http is served; 0: not at all",
            |table, key, server| table.set(key, &mut server.half_close_timeout, duration(Span::ZERO..=HOUR))),
        row(Server, "drain_delay", Duration, Default("\"0s\""), "how long /readyz is 503 before the drain starts",
            |table, key, server| table.set(key, &mut server.drain_delay, duration(Span::ZERO..=HOUR))),
        // Zero is a way to say: cut at once.
        row(Server, "drain_timeout", Duration, Default("\"30s\""), "how long a drain may take before the rest is aborted",
            |table, key, server| table.set(key, &mut server.drain_timeout, duration(Span::ZERO..=24 * HOUR))),
        // Zero is a way to say: never.
        row(Server, "watch", Duration, Default("\"5s\""), "how soon a change of this file or a certificate is noticed",
            |table, key, server| table.set(key, &mut server.watch, duration(Span::ZERO..=HOUR))),
        row(Server, "trusted_proxies", Texts, Default("[]"), "proxies whose forwarding headers are trusted (networks)",
            |table, key, server| if let Some(networks) = table.list(key, network) {
                server.trusted_proxies = networks.into_iter().map(|(_, network)| network).collect();
            }),
    ]
};

/// The keys of `[admin]`.
#[rustfmt::skip]
pub(super) const ADMIN: &[Row<AdminSettings>] = {
    use Section::Admin;
    &[
        row(Admin, "listen", Text, Default("\"127.0.0.1:9090\""), "/livez, /readyz and /metrics; keep it private",
            |table, key, admin| table.set(key, &mut admin.listen, address)),
    ]
};

/// Reads `[server]`.
pub(super) fn read(table: &Table<'_>) -> Settings {
    let mut settings = Settings::default();
    read_rows(SERVER, table, &mut settings);
    settings
}

fn listen(table: &Table<'_>, key: &'static str, settings: &mut Settings) {
    let Some(listen) = table.list(key, address) else { return };
    if listen.is_empty() {
        table.report(key, "no address".to_owned(), "at least one such as \"127.0.0.1:8080\"");
    }
    for (index, (place, address)) in listen.iter().enumerate() {
        if listen[..index].iter().any(|(_, earlier)| collide(*earlier, *address)) {
            let found = show_text(&address.to_string());
            table.report_item(key, index, place, found, "addresses that do not overlap");
        }
    }
    settings.listen = listen.into_iter().map(|(_, address)| address).collect();
}

/// Reads `[admin]`, which must not stand where clients come in.
pub(super) fn read_admin(table: &Table<'_>, public: &[SocketAddr]) -> AdminSettings {
    let mut settings = AdminSettings::default();
    read_rows(ADMIN, table, &mut settings);
    if let Some(taken) = public.iter().find(|address| collide(**address, settings.listen)) {
        let found = show_text(&settings.listen.to_string());
        table.report("listen", found, &format!("an address of its own, server.listen has {taken}"));
    }
    settings
}

/// Returns whether both cannot be bound at once.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let unspecified = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same_ip = one.ip() == other.ip() || unspecified && one.is_ipv4() == other.is_ipv4();
    // Port 0 takes any free port, as often as one likes.
    one.port() == other.port() && one.port() != 0 && same_ip
}

/// The kernel has no more sockets for one process.
const SESSIONS_MAX: usize = 10_000_000;
