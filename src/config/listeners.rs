//! `[server]` and `[admin]`: where clients and operators come in.

use std::net::SocketAddr;
use std::time::Duration;

use super::fault::{Problem, Sink};
use super::keys::Section;
use super::table::Table;
use super::tree::show_text;
use super::values::{HOUR, MS, address, count, duration, file, network};
use crate::server::{Settings, TlsFiles};
use crate::service::AdminSettings;
use crate::tls::Identity;

/// Reads `[server]`.
pub(super) fn read(table: &Table<'_>, sink: &Sink) -> Settings {
    let mut settings = Settings::default();
    if let Some(listen) = table.list("listen", address) {
        if listen.is_empty() {
            table.report("listen", "no address".to_owned(), "at least one such as \"127.0.0.1:8080\"");
        }
        for (index, (place, address)) in listen.iter().enumerate() {
            if listen[..index].iter().any(|(_, earlier)| collide(*earlier, *address)) {
                let wrong = Problem::Wrong {
                    found: show_text(&address.to_string()),
                    expected: "addresses that do not overlap".to_owned(),
                    hint: String::new(),
                };
                sink.push(place, format!("server.listen[{index}]"), wrong);
            }
        }
        settings.listen = listen.into_iter().map(|(_, address)| address).collect();
    }
    if table.get("tls").is_some() {
        let files = table.section("tls", Section::Tls);
        let (certificate, key) = (files.required("certificate", file), files.required("key", file));
        let client_ca = files.value("client_ca", file);
        let identity = certificate.zip(key).map(|(certificate, key)| Identity { certificate, key });
        settings.tls = identity.map(|identity| TlsFiles { identity, client_ca });
    }
    table.set("max_sessions", &mut settings.max_sessions, count(1..=SESSIONS_MAX));
    table.set("idle_timeout", &mut settings.idle_timeout, duration(MS..=HOUR));
    table.set("rest_after", &mut settings.rest_after, duration(Duration::ZERO..=HOUR));
    // Zero takes the end of a client's side for its own.
    table.set("half_close_timeout", &mut settings.half_close_timeout, duration(Duration::ZERO..=HOUR));
    table.set("drain_delay", &mut settings.drain_delay, duration(Duration::ZERO..=HOUR));
    // Zero is a way to say: cut at once.
    table.set("drain_timeout", &mut settings.drain_timeout, duration(Duration::ZERO..=24 * HOUR));
    if let Some(networks) = table.list("trusted_proxies", network) {
        settings.trusted_proxies = networks.into_iter().map(|(_, network)| network).collect();
    }
    settings
}

/// Reads `[admin]`, which must not stand where clients come in.
pub(super) fn read_admin(table: &Table<'_>, public: &[SocketAddr]) -> AdminSettings {
    let mut settings = AdminSettings::default();
    table.set("listen", &mut settings.listen, address);
    if let Some(taken) = public.iter().find(|address| collide(**address, settings.listen)) {
        let found = show_text(&settings.listen.to_string());
        table.report("listen", found, &format!("an address of its own, server.listen has {taken}"));
    }
    settings
}

/// Returns whether both cannot be bound at once.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let unspecified = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same_ip = one.ip() == other.ip() || unspecified && one.is_ipv4() == other.is_ipv4();
    // Port 0 takes any free port, as often as one likes.
    one.port() == other.port() && one.port() != 0 && same_ip
}

/// The kernel has no more sockets for one process.
const SESSIONS_MAX: usize = 10_000_000;
