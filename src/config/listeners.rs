//! `[server]`, `[[listeners]]` and `[admin]`: where clients and operators come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as Span;

use super::fault::{Place, Sink};
use super::key::Section;
use super::key::Shown::{Default, Example};
use super::key::Type::{Count, Duration, Flag, Table as Inline, Text, Texts};
use super::mux::secret;
use super::networks;
use super::routes::tables;
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tls;
use super::tree::{Node, show_text};
use super::values::{
    HOUR, MS, Wrong, count, duration, duration_or_never, flag, listen_address, mode, proxy, text,
};
use crate::address::{ListenAddress, TrustedProxy};
use crate::networks::Networks;
use crate::server::{ListenerSettings, Settings};
use crate::service::AdminSettings;
use crate::tls::TlsFiles;

/// The keys of `[server]` that stand for a listener.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const SHORT: &[Row<Written>] = {
    use Section::Server;
    &[
        row(Server, "listen", Texts, Default("[\"127.0.0.1:8080\"]"), "addresses for clients; port 0 takes any free port; \"unix:/PATH\"", listen),
        row(Server, "tls", Inline, Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files; set it to serve TLS",
            |table, key, listener| listener.tls = tls::read(table, key)),
        row(Server, "socket_mode", Text, Default("\"0660\""), "mode of the files of its Unix sockets",
            |table, key, listener| listener.socket_mode = table.value(key, mode)),
        row(Server, "proxy_protocol", Flag, Default("false"), "connections begin with a PROXY header of trusted_proxies",
            |table, key, listener| table.set(key, &mut listener.proxy_protocol, flag)),
        row(Server, "allow", Texts, Default("[]"), "networks that may connect, others are reset; empty: all",
            |table, key, listener| networks::read(table, key, &mut listener.networks.allow)),
        row(Server, "deny", Texts, Default("[]"), "networks that may not connect, even if they are in allow",
            |table, key, listener| networks::read(table, key, &mut listener.networks.deny)),
        row(Server, "http2", Flag, Default("true"), "whether TLS clients are offered HTTP/2",
            |table, key, listener| listener.http2 = table.value(key, flag)),
        row(Server, "h2c", Flag, Default("false"), "whether clients without TLS may speak HTTP/2 from the start",
            |table, key, listener| listener.h2c = table.value(key, flag)),
    ]
};

/// The other keys of `[server]`.
#[rustfmt::skip]
pub(super) const SERVER: &[Row<Settings>] = {
    use Section::Server;
    &[
        row(Server, "max_sessions", Count, Default("10_000"), "maximum of concurrent sessions; beyond it handshakes get 503",
            |table, key, server| table.set(key, &mut server.max_sessions, count(1..=SESSIONS_MAX))),
        row(Server, "idle_timeout", Duration, Default("\"75s\""), "how long a connection may be idle between requests",
            |table, key, server| table.set(key, &mut server.idle_timeout, duration(MS..=HOUR))),
        row(Server, "rest_after", Duration, Default("\"1s\""), "how long a connection waits before its buffers are released",
            |table, key, server| table.set(key, &mut server.rest_after, duration(Span::ZERO..=HOUR))),
        // Zero takes the end of a client's side for its own.
        row(Server, "half_close_timeout", Duration, Default("\"5s\""), "how long a half-closed client of http is served; 0: not at all",
            |table, key, server| table.set(key, &mut server.half_close_timeout, duration(Span::ZERO..=HOUR))),
        row(Server, "drain_delay", Duration, Default("\"0s\""), "how long /readyz is 503 before the drain starts",
            |table, key, server| table.set(key, &mut server.drain_delay, duration(Span::ZERO..=HOUR))),
        // Zero is a way to say: cut at once.
        row(Server, "drain_timeout", Duration, Default("\"30s\""), "how long a drain may take before the rest is aborted",
            |table, key, server| table.set(key, &mut server.drain_timeout, duration(Span::ZERO..=24 * HOUR))),
        row(Server, "watch", Duration, Default("\"5s\""), "how soon a change of this file or a certificate is noticed",
            |table, key, server| table.set(key, &mut server.watch, duration_or_never(100 * MS..=HOUR))),
        row(Server, "trusted_proxies", Texts, Default("[]"), "trusted proxies in front: networks, or \"unix\"",
            |table, key, server| if let Some(networks) = table.list(key, proxy) {
                server.trusted_proxies = networks.into_iter().map(|(_, network)| network).collect();
            }),
    ]
};

/// The keys of one of `[[listeners]]`.
#[rustfmt::skip]
pub(super) const LISTENER: &[Row<Written>] = {
    use Section::Listener;
    &[
        row(Listener, "name", Text, Example("\"public\""), "its name, for routes and descriptors",
            |table, key, listener| listener.name = table.required(key, name)),
        row(Listener, "listen", Texts, Example("[\"[::]:8443\"]"), "its addresses, as in [server]", listen),
        row(Listener, "only_v6", Flag, Default("false"), "whether [::] is without the addresses of IPv4",
            |table, key, listener| table.set(key, &mut listener.only_v6, flag)),
        row(Listener, "tls", Inline, Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files, as in [server]",
            |table, key, listener| listener.tls = tls::read(table, key)),
        row(Listener, "socket_mode", Text, Default("\"0660\""), "mode of the files of its Unix sockets",
            |table, key, listener| listener.socket_mode = table.value(key, mode)),
        row(Listener, "proxy_protocol", Flag, Default("false"), "connections begin with a PROXY header of trusted_proxies",
            |table, key, listener| table.set(key, &mut listener.proxy_protocol, flag)),
        row(Listener, "allow", Texts, Default("[]"), "networks that may connect, as in [server]",
            |table, key, listener| networks::read(table, key, &mut listener.networks.allow)),
        row(Listener, "deny", Texts, Default("[]"), "networks that may not, as in [server]",
            |table, key, listener| networks::read(table, key, &mut listener.networks.deny)),
        row(Listener, "http2", Flag, Example("false"), "whether it offers TLS clients HTTP/2; unset: as in [server]",
            |table, key, listener| listener.http2 = table.value(key, flag)),
        row(Listener, "h2c", Flag, Example("false"), "whether others may speak HTTP/2; unset: as in [server]",
            |table, key, listener| listener.h2c = table.value(key, flag)),
    ]
};

/// The keys of `[admin]`.
#[rustfmt::skip]
pub(super) const ADMIN: &[Row<AdminSettings>] = {
    use Section::Admin;
    &[
        row(Admin, "listen", Text, Default("\"127.0.0.1:9090\""), "health, metrics and the dashboard; keep it private",
            |table, key, admin| table.set(key, &mut admin.listen, listen_address)),
        row(Admin, "socket_mode", Text, Default("\"0660\""), "mode of its file, if it is a Unix socket",
            |table, key, admin| table.set(key, &mut admin.socket_mode, mode)),
        row(Admin, "token", Text, Example("\"secret-of-operators\""), "of at least 16 characters; unset: everybody may ask",
            |table, key, admin| admin.token = table.value(key, secret)),
        row(Admin, "tls", Inline, Example("{ certificate = \"cert.pem\", key = \"key.pem\" }"), "PEM files; client_ca lets operators in",
            |table, key, admin| admin.tls = tls::read(table, key)),
    ]
};

/// What a listener says.
#[derive(Default, Debug)]
pub(super) struct Written {
    name: Option<Arc<str>>,
    listen: Option<Vec<(Place, ListenAddress)>>,
    only_v6: bool,
    socket_mode: Option<u32>,
    proxy_protocol: bool,
    tls: Option<TlsFiles>,
    http2: Option<bool>,
    h2c: Option<bool>,
    networks: Networks,
}

/// An address that a listener has.
#[derive(Debug)]
pub(super) struct Taken {
    /// The key that it stands at.
    pub(super) key: String,
    pub(super) address: ListenAddress,
    pub(super) only_v6: bool,
}

/// Reads `[server]` and `[[listeners]]`. Returns with them the addresses that they take.
pub(super) fn read(root: &Table<'_>, sink: &Sink) -> (Settings, Vec<Taken>) {
    let server = root.section("server", Section::Server);
    let (mut settings, mut taken) = (Settings::default(), Vec::new());
    read_rows(SERVER, &server, &mut settings);
    let mut short = Written { name: Some(ListenerSettings::DEFAULT.into()), ..Written::default() };
    read_rows(SHORT, &server, &mut short);
    let proxies = settings.trusted_proxies.clone();
    let Some(items) = root.get("listeners").map(|node| tables(node, "listeners", sink)) else {
        let default = ListenerSettings::default();
        // There is no other listener that h2c could be for. A variable may be that of several processes, with TLS and without.
        if server.get("h2c").is_some_and(|node| matches!(node.place, Place::File { .. })) {
            short.judge_h2c(&server);
        }
        settings.listeners = vec![short.over(default, &server, "server", &mut taken, &proxies)];
        return (settings, taken);
    };
    settings.listeners.clear();
    let (http2, h2c) = (short.http2, short.h2c);
    // Nothing listens at an address that nobody wrote.
    if server.get("listen").is_some() {
        let default = ListenerSettings::default();
        settings.listeners.push(short.over(default, &server, "server", &mut taken, &proxies));
    } else {
        for key in ["tls", "socket_mode", "proxy_protocol", "allow", "deny"]
            .into_iter()
            .filter(|key| server.get(key).is_some())
        {
            server.report_idle(
                key,
                "without listen beside [[listeners]], each of which has its own".to_owned(),
            );
        }
    }
    for (index, item) in items.iter().enumerate() {
        let key = format!("listeners[{index}]");
        let (table, mut written) = (root.within(item, key.clone(), Section::Listener), Written::default());
        read_rows(LISTENER, &table, &mut written);
        if table.get("listen").is_none() {
            table.report_missing("listen");
        }
        let Some(name) = written.name.clone() else { continue };
        if settings.listeners.iter().any(|other| other.name == name) {
            let has =
                if *name == *ListenerSettings::DEFAULT { ", that of [server] is called so" } else { "" };
            table.report("name", show_text(&name), &format!("a name of its own{has}"));
        }
        written.judge_http2(&table);
        let unset = ListenerSettings::at(&name, Vec::new());
        let written = Written { http2: written.http2.or(http2), h2c: written.h2c.or(h2c), ..written };
        settings.listeners.push(written.over(unset, &table, &key, &mut taken, &proxies));
    }
    (settings, taken)
}

impl Written {
    /// Reports what is switched on in vain.
    fn judge_http2(&self, table: &Table<'_>) {
        if self.http2 == Some(true) && table.get("tls").is_none() {
            table.report_idle("http2", "without tls: h2c is for clients without it".to_owned());
        }
        self.judge_h2c(table);
    }

    fn judge_h2c(&self, table: &Table<'_>) {
        if self.h2c == Some(true) && table.get("tls").is_some() {
            table.report_idle("h2c", "with tls: http2 is for its clients".to_owned());
        }
    }

    /// Reports what none of the listener's addresses can have.
    fn judge_addresses(&self, addresses: &[ListenAddress], table: &Table<'_>) {
        let is_v6 = |address: &ListenAddress| address.ip().is_some_and(|address| address.is_ipv6());
        // An address that is wrong is told as such.
        if self.only_v6 && !addresses.is_empty() && !addresses.iter().any(is_v6) {
            table.report_idle("only_v6", "without an address of IPv6 in listen".to_owned());
        }
        if let Some(mode) = self.socket_mode {
            judge_mode(mode, addresses, table);
        }
        let has_ip = addresses.is_empty() || addresses.iter().any(|address| address.ip().is_some());
        for key in ["allow", "deny"].into_iter().filter(|key| table.get(key).is_some()) {
            if !has_ip && !self.proxy_protocol {
                table.report_idle(key, "without an address of IP in listen".to_owned());
            }
        }
        networks::judge(table, &self.networks);
    }

    /// Returns the listener over what holds without keys, and takes its addresses.
    fn over(
        self,
        unset: ListenerSettings,
        table: &Table<'_>,
        key: &str,
        taken: &mut Vec<Taken>,
        proxies: &[TrustedProxy],
    ) -> ListenerSettings {
        let written = self.listen.iter().flatten().map(|(_, address)| address.clone());
        let addresses = if self.listen.is_some() { written.collect() } else { unset.listen.clone() };
        self.judge_addresses(&addresses, table);
        let Self { name: _, listen, only_v6, socket_mode, proxy_protocol, tls, http2, h2c, networks } = self;
        let (http2, h2c) = (http2.unwrap_or(unset.http2), h2c.unwrap_or(unset.h2c));
        let key = format!("{key}.listen");
        let places = listen.iter().flatten().map(|(place, _)| Some(place)).chain(std::iter::repeat(None));
        if proxy_protocol && let Err(expected) = judge_proxies(proxies, &addresses) {
            table.report("proxy_protocol", "true".to_owned(), &expected);
        }
        for (index, (address, place)) in addresses.iter().zip(places).enumerate() {
            let one = Taken { key: key.clone(), address: address.clone(), only_v6 };
            if let Some(earlier) = taken.iter().find(|earlier| earlier.collides(&one))
                && let Some(place) = place
            {
                let expected = if earlier.key == key {
                    "addresses that do not overlap".to_owned()
                } else {
                    format!("an address of its own, {} has {}", earlier.key, earlier.address)
                };
                table.report_item("listen", index, place, show_text(&address.to_string()), &expected);
            }
            taken.push(one);
        }
        let socket_mode = socket_mode.unwrap_or(unset.socket_mode);
        ListenerSettings {
            listen: addresses,
            only_v6,
            socket_mode,
            proxy_protocol,
            tls,
            http2,
            h2c,
            networks,
            ..unset
        }
    }
}

/// Reports a mode where no address has a file.
fn judge_mode(mode: u32, addresses: &[ListenAddress], table: &Table<'_>) {
    let has_file = addresses.is_empty() || addresses.iter().any(|address| address.ip().is_none());
    // The default says nothing, wherever it stands.
    if !has_file && mode != ListenerSettings::SOCKET_MODE {
        table.report_idle("socket_mode", "without an address such as \"unix:/PATH\" in listen".to_owned());
    }
}

/// Returns which proxies are missing, if none would be allowed to send a PROXY header: anybody could say who the client is, and
/// where only others are trusted, each connection would be refused.
fn judge_proxies(proxies: &[TrustedProxy], addresses: &[ListenAddress]) -> Result<(), String> {
    if proxies.is_empty() {
        return Err("server.trusted_proxies beside it: the proxies that send the headers".to_owned());
    }
    let may_come_to = |address: &ListenAddress| {
        proxies.iter().any(|proxy| match proxy {
            TrustedProxy::Network(_) => address.ip().is_some(),
            TrustedProxy::Unix => address.ip().is_none(),
        })
    };
    match addresses.iter().find(|address| !may_come_to(address)) {
        None => Ok(()),
        Some(address) => {
            let missing = if address.ip().is_some() { "a network" } else { "\"unix\"" };
            Err(format!("{missing} in server.trusted_proxies: nobody else connects to {address}"))
        }
    }
}

fn listen(table: &Table<'_>, key: &'static str, listener: &mut Written) {
    let Some(listen) = table.list(key, listen_address) else { return };
    if listen.is_empty() {
        table.report(key, "no address".to_owned(), "at least one such as \"127.0.0.1:8080\"");
    }
    listener.listen = Some(listen);
}

/// Returns a listener's name, which also stands among the names of descriptors.
fn name(node: &Node) -> Result<Arc<str>, Wrong> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match text(node) {
        Ok(name) if (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_plain) => Ok(name.into()),
        Ok(_) | Err(_) => Err(Wrong::expected("a name of 1 to 32 letters, digits, - or _")),
    }
}

/// Reads `[admin]`, which must not stand where clients come in.
pub(super) fn read_admin(table: &Table<'_>, public: &[Taken]) -> AdminSettings {
    let mut settings = AdminSettings::default();
    read_rows(ADMIN, table, &mut settings);
    if settings.tls.as_ref().is_some_and(|tls| tls.acme.is_some()) {
        table.report("tls", "acme".to_owned(), "files: what is ordered is for clients");
    }
    judge_mode(settings.socket_mode, std::slice::from_ref(&settings.listen), table);
    if let Some(Taken { key, address, .. }) = public.iter().find(|one| one.collides_with(&settings.listen)) {
        let found = show_text(&settings.listen.to_string());
        table.report("listen", found, &format!("an address of its own, {key} has {address}"));
    }
    settings
}

impl Taken {
    /// Creates it for a listener with one address.
    pub(super) fn by(key: &str, address: ListenAddress) -> Self {
        Self { key: key.to_owned(), address, only_v6: false }
    }

    /// Returns whether an address of IPv6 and IPv4 cannot be bound beside it.
    pub(super) fn collides_with(&self, address: &ListenAddress) -> bool {
        self.collides(&Self::by("", address.clone()))
    }

    /// Returns whether both cannot be bound at once.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let (Some(own), Some(others)) = (self.address.ip(), other.address.ip()) else {
            return self.address == other.address;
        };
        let has = |one: SocketAddr, has_both, other: SocketAddr| {
            one.ip().is_unspecified() && (one.is_ipv4() == other.is_ipv4() || has_both)
        };
        let same_ip = own.ip() == others.ip()
            || has(own, self.has_both_families(), others)
            || has(others, other.has_both_families(), own);
        // Port 0 takes any free port, as often as one likes.
        own.port() == others.port() && own.port() != 0 && same_ip
    }

    /// Returns whether it is all addresses of IPv6, and of IPv4 as well.
    pub(super) fn has_both_families(&self) -> bool {
        self.address.ip().is_some_and(|address| address.is_ipv6() && address.ip().is_unspecified())
            && !self.only_v6
    }
}

/// It stands in the log, in lines between processes, and among the names of descriptors.
const NAME_MAX: usize = 32;
/// The kernel has no more sockets for one process.
const SESSIONS_MAX: usize = 10_000_000;
