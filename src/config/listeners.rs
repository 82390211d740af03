//! `[server]` and `[admin]`: where clients and operators come in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration as Span;

use super::key::Section;
use super::key::Shown::{Default, Example};
use super::key::Type::{Count, Duration, File, Table as Inline, Text, Texts};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::show_text;
use super::values::{HOUR, MS, address, count, duration, file, network};
use crate::server::{Settings, TlsFiles};
use crate::service::AdminSettings;
use crate::tls::Identity;

/// The keys of `[server]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const SERVER: &[Row<Settings>] = {
    use Section::Server;
    &[
        row(Server, "listen", Texts, Default("[\"127.0.0.1:8080\"]"), "addresses for clients; port 0 takes any free port", listen),
        row(Server, "tls", Inline, Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files; set it to serve TLS", tls),
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

/// The keys of `[server.tls]`.
#[rustfmt::skip]
pub(super) const TLS: &[Row<Files>] = {
    use Section::Tls;
    &[
        row(Tls, "certificate", File, Example("\"cert.pem\""), "certificate chain, leaf first",
            |table, key, files| files.certificate = table.required(key, file)),
        row(Tls, "key", File, Example("\"key.pem\""), "the leaf's private key",
            |table, key, files| files.key = table.required(key, file)),
        row(Tls, "client_ca", File, Example("\"clients.pem\""), "authorities for client certificates; unset accepts anyone",
            |table, key, files| files.client_ca = table.value(key, file)),
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

/// What `[server.tls]` says.
#[derive(Default, Debug)]
pub(super) struct Files {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
}

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

fn tls(table: &Table<'_>, key: &'static str, settings: &mut Settings) {
    if table.get(key).is_some() {
        let mut files = Files::default();
        read_rows(TLS, &table.section(key, Section::Tls), &mut files);
        let identity = files.certificate.zip(files.key);
        let identity = identity.map(|(certificate, key)| Identity { certificate, key });
        settings.tls = identity.map(|identity| TlsFiles { identity, client_ca: files.client_ca });
    }
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
