//! `[cluster]`: the nodes that share the clients of one load balancer.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration as Span;

use http::HeaderValue;
use http::uri::Authority;
use rustls::pki_types::ServerName;

use super::key::Section::{Cluster, ClusterTls};
use super::key::Shown::{Default, Example};
use super::key::Type::{Duration, File, Table as Inline, Text, TextOrTable};
use super::listeners::Taken;
use super::mux::secret;
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::{Node, show_text};
use super::values::{HOUR, MS, Wrong, address, duration, file, server_name, text};
use crate::cluster::{Peers, Settings, Tls};
use crate::directory::{self, Kind};
use crate::sid::Tag;
use crate::tls::Identity;

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const CLUSTER: &[Row<Written>] = &[
    row(Cluster, "listen", Text, Example("\"10.0.0.1:7400\""), "address where other nodes ask; keep it private",
        |table, key, cluster| cluster.listen = table.required(key, address)),
    row(Cluster, "advertise", Text, Example("\"10.0.0.1:7400\""), "this node's address in peers; unset: listen",
        |table, key, cluster| cluster.advertise = table.value(key, place)),
    row(Cluster, "node", Text, Example("\"a\""), "this node's name in session ids; unset: its name in peers",
        |table, key, cluster| cluster.node = table.value(key, name)),
    row(Cluster, "peers", TextOrTable, Example("{ a = \"10.0.0.1:7400\", b = \"10.0.0.2:7400\" }"), "all nodes, \"dns:NAME:PORT\" or \"directory\"",
        |table, key, cluster| cluster.peers = table.required(key, peers)),
    row(Cluster, "directory", Text, Example("\"rediss://redis:6379\""), "Redis, Valkey or NATS that knows nodes and SockJS ids",
        |table, key, cluster| cluster.directory = table.value(key, url)),
    row(Cluster, "directory_name", Text, Default("\"default\""), "tells clusters apart that share the directory's server",
        |table, key, cluster| cluster.directory_name = table.value(key, directory_name)),
    row(Cluster, "directory_ttl", Duration, Default("\"10m\""), "how long a dead node's entries stay in Redis",
        |table, key, cluster| cluster.directory_ttl = table.value(key, duration(TTL_MIN..=24 * HOUR))),
    row(Cluster, "directory_ca", File, Example("\"directory-ca.pem\""), "authorities for its TLS; unset: the system's",
        |table, key, cluster| cluster.directory_ca = table.value(key, file)),
    row(Cluster, "directory_certificate", File, Example("\"node.pem\""), "shown to a directory that asks for a certificate",
        |table, key, cluster| cluster.directory_certificate = table.value(key, file)),
    row(Cluster, "directory_key", File, Example("\"node.key\""), "the private key of directory_certificate",
        |table, key, cluster| cluster.directory_key = table.value(key, file)),
    row(Cluster, "token", Text, Example("\"a-long-secret-of-all-nodes\""), "secret of all nodes, at least 16 characters",
        |table, key, cluster| cluster.token = table.required(key, secret)),
    row(Cluster, "tls", Inline, Example("{ certificate = \"node.pem\", key = \"node.key\", ca = \"ca.pem\" }"), "PEM files; unset: no TLS", tls),
    row(Cluster, "connect_timeout", Duration, Default("\"1s\""), "timeout of a connection to another node",
        |table, key, cluster| cluster.connect_timeout = table.value(key, duration(MS..=HOUR))),
    row(Cluster, "silence_timeout", Duration, Default("\"3s\""), "how long a node may be silent before it counts as down",
        |table, key, cluster| cluster.silence_timeout = table.value(key, duration(SILENCE_MIN..=HOUR))),
];

/// The keys of `[cluster.tls]`.
#[rustfmt::skip]
pub(super) const TLS: &[Row<Files>] = &[
    row(ClusterTls, "certificate", File, Example("\"node.pem\""), "this node's certificate chain, leaf first",
        |table, key, files| files.certificate = table.required(key, file)),
    row(ClusterTls, "key", File, Example("\"node.key\""), "the leaf's private key",
        |table, key, files| files.key = table.required(key, file)),
    row(ClusterTls, "ca", File, Example("\"ca.pem\""), "authorities for the certificates of all nodes",
        |table, key, files| files.ca = table.required(key, file)),
    row(ClusterTls, "name", Text, Example("\"polliwog-node\""), "name in all nodes' certificates; unset: their addresses' hosts",
        |table, key, files| files.name = table.value(key, server_name)),
];

/// What `[cluster.tls]` says.
#[derive(Default, Debug)]
pub(super) struct Files {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
    name: Option<ServerName<'static>>,
}

/// What the table says.
#[derive(Default, Debug)]
pub(super) struct Written {
    listen: Option<SocketAddr>,
    advertise: Option<String>,
    node: Option<Tag>,
    peers: Option<Peers>,
    tls: Option<Tls>,
    directory: Option<(Kind, String)>,
    directory_name: Option<String>,
    directory_ttl: Option<Span>,
    directory_ca: Option<PathBuf>,
    directory_certificate: Option<PathBuf>,
    directory_key: Option<PathBuf>,
    token: Option<HeaderValue>,
    connect_timeout: Option<Span>,
    silence_timeout: Option<Span>,
}

/// Reads `[cluster]`, which is off where nobody wrote it. `taken` are the addresses of the other listeners.
pub(super) fn read(root: &Table<'_>, taken: &[Taken]) -> Option<(Settings, Option<directory::Settings>)> {
    root.get("cluster")?;
    let table = root.section("cluster", Cluster);
    let mut written = Written::default();
    read_rows(CLUSTER, &table, &mut written);
    let directory = written.read_directory(&table);
    let Written { listen, advertise, node, peers, tls, token, connect_timeout, silence_timeout, .. } =
        written;
    let listen = listen?;
    let shown = || show_text(&listen.to_string());
    if let Some(Taken { key, address, .. }) = taken.iter().find(|other| other.collides_with(&listen.into())) {
        table.report("listen", shown(), &format!("an address of its own, {key} has {address}"));
    }
    if tls.is_none() && table.get("tls").is_none() {
        report_public(&table, listen, advertise.as_deref(), peers.as_ref());
    }
    let advertise = match advertise {
        Some(advertise) => advertise,
        None if listen.ip().is_unspecified() => {
            table.report_missing("advertise");
            return None;
        }
        None => listen.to_string(),
    };
    let peers = peers?;
    if peers == Peers::Directory && table.get("directory").is_none() {
        table.report_missing("directory");
    }
    let me = match &peers {
        Peers::Named(peers) => named(&table, peers, node, &advertise)?,
        Peers::Dns { port, .. } => resolved(&table, *port, node, &advertise)?,
        Peers::Directory => node.unwrap_or_else(|| Tag::of_address(&advertise)),
    };
    let settings = Settings {
        listen,
        advertise,
        node: me,
        peers,
        tls,
        token: token?,
        connect_timeout: connect_timeout.unwrap_or(Span::from_secs(1)),
        silence_timeout: silence_timeout.unwrap_or(Span::from_secs(3)),
    };
    Some((settings, directory))
}

impl Written {
    /// Returns the directory's settings, if there is one.
    fn read_directory(&mut self, table: &Table<'_>) -> Option<directory::Settings> {
        let written = TLS_KEYS.into_iter().filter(|key| table.get(key).is_some());
        if table.get("directory").is_none() {
            let others =
                ["directory_name", "directory_ttl"].into_iter().filter(|key| table.get(key).is_some());
            written
                .clone()
                .chain(others)
                .for_each(|key| table.report_idle(key, "without directory".to_owned()));
        }
        let (kind, url) = self.directory.take()?;
        let is_secured = Kind::of(&url).is_some_and(|(_, is_secured)| is_secured);
        if !is_secured {
            let why = "beside a directory without TLS: its URL begins with rediss:// or tls:// if it has it";
            written.for_each(|key| table.report_idle(key, why.to_owned()));
        }
        let identity = match (self.directory_certificate.take(), self.directory_key.take()) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (Some(_), None) => {
                table.report_missing("directory_key");
                None
            }
            (None, Some(_)) => {
                table.report_missing("directory_certificate");
                None
            }
            (None, None) => None,
        };
        if kind == Kind::Nats && table.get("directory_ttl").is_some() {
            table.report_idle(
                "directory_ttl",
                "beside NATS, where entries end with their node's connection".to_owned(),
            );
        }
        Some(directory::Settings {
            kind,
            url,
            name: self.directory_name.take().unwrap_or_else(|| "default".to_owned()),
            ttl: self.directory_ttl.unwrap_or(Span::from_mins(10)),
            ca: self.directory_ca.take(),
            identity,
        })
    }
}

fn tls(table: &Table<'_>, key: &'static str, cluster: &mut Written) {
    if table.get(key).is_none() {
        return;
    }
    let mut files = Files::default();
    read_rows(TLS, &table.section(key, ClusterTls), &mut files);
    let Files { certificate, key, ca, name } = files;
    let identity = certificate.zip(key).map(|(certificate, key)| Identity { certificate, key });
    cluster.tls = identity.zip(ca).map(|(identity, ca)| Tls { identity, ca, name });
}

/// Returns this node's name in the list of all nodes: by its address there, or as it is told.
fn named(
    table: &Table<'_>,
    peers: &BTreeMap<Tag, String>,
    node: Option<Tag>,
    advertise: &str,
) -> Option<Tag> {
    let own = peers.iter().find(|(_, address)| *address == advertise).map(|(tag, _)| *tag);
    match (node, own) {
        (Some(node), own) if peers.contains_key(&node) && own.is_none_or(|own| own == node) => Some(node),
        (None, Some(own)) => Some(own),
        (Some(node), Some(own)) => {
            let found = format!("{} beside {}", show_text(&node.to_string()), show_text(advertise));
            table.report("node", found, &format!("\"{own}\", the name of that address in peers"));
            None
        }
        (Some(node), None) => {
            let found = format!("names without {}", show_text(&node.to_string()));
            table.report("peers", found, "all nodes, with this one");
            None
        }
        (None, None) => {
            let found = format!("addresses without {}", show_text(advertise));
            table.report("peers", found, "all nodes, with this one, or node to name it");
            None
        }
    }
}

/// Returns this node's name among the addresses of a host name. All have their names from their addresses.
fn resolved(table: &Table<'_>, port: u16, node: Option<Tag>, advertise: &str) -> Option<Tag> {
    if node.is_some() {
        table.report_idle("node", "beside peers by DNS, which are named by their addresses".to_owned());
    }
    let address = advertise.parse::<SocketAddr>().ok().filter(|address| address.port() == port);
    if address.is_none() {
        let key = if table.get("advertise").is_some() { "advertise" } else { "listen" };
        let expected = format!("this node's address among those of the name, with port {port}");
        table.report(key, show_text(advertise), &expected);
    }
    address.map(|address| Tag::of_address(&address.to_string()))
}

/// Reports the first address by which nodes would ask each other in the clear over a public network. What a name stands for is not
/// known here.
fn report_public(table: &Table<'_>, listen: SocketAddr, advertise: Option<&str>, peers: Option<&Peers>) {
    let is_public = |text: &&str| text.parse::<SocketAddr>().is_ok_and(|address| !is_private(address.ip()));
    let listen = listen.to_string();
    let others = if let Some(Peers::Named(peers)) = peers { Some(peers.values()) } else { None };
    let mut written = [("listen", listen.as_str())]
        .into_iter()
        .chain(advertise.map(|advertise| ("advertise", advertise)))
        .chain(others.into_iter().flatten().map(|address| ("peers", address.as_str())));
    if let Some((key, address)) = written.find(|(_, address)| is_public(address)) {
        let expected = "a loopback or private address, or tls: nodes speak in the clear";
        table.report(key, show_text(address), expected);
    }
}

/// Returns whether nobody outside can connect there. A wildcard address is what the host makes of it.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            // Providers' own networks (RFC 6598), which clusters of containers use as well.
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
    }
}

/// Returns the directory's URL, and what it names.
fn url(node: &Node) -> Result<(Kind, String), Wrong> {
    let expected = "a URL such as \"redis://10.0.0.9:6379\", \"rediss://user:password@redis:6379/0\" or \"nats://nats:4222\"";
    let text = text(node).map_err(|_| Wrong::expected(expected))?;
    // It may hold a password, so it is not shown.
    let wrong = || Wrong { found: Some("a text that is none".to_owned()), ..Wrong::expected(expected) };
    let (kind, _) = Kind::of(&text).ok_or_else(wrong)?;
    let has_host = text
        .split_once("://")
        .is_some_and(|(_, rest)| !rest.rsplit('@').next().unwrap_or_default().is_empty());
    if !has_host {
        return Err(wrong());
    }
    if !kind.is_built() {
        return Err(Wrong::expected(format!(
            "none: this binary was built without the feature {}",
            kind.feature()
        )));
    }
    Ok((kind, text))
}

/// Returns the name of a cluster in its directory.
fn directory_name(node: &Node) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("a name of letters, digits, - and _");
    let text = text(node).map_err(|_| wrong())?;
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits && !text.is_empty() { Ok(text) } else { Err(wrong()) }
}

/// Returns a node's name.
fn name(node: &Node) -> Result<Tag, Wrong> {
    let wrong = || Wrong::expected("a name of 1 to 4 letters or digits");
    Tag::of_name(&text(node).map_err(|_| wrong())?).ok_or_else(wrong)
}

/// Returns a node's address, which may name a host.
fn place(node: &Node) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("a host and a port such as \"10.0.0.1:7400\"");
    let text = text(node).map_err(|_| wrong())?;
    let authority: Authority = text.parse().map_err(|_| wrong())?;
    let is_wildcard = text.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_unspecified());
    let fits = authority.port_u16().is_some_and(|port| port > 0) && !authority.as_str().contains('@');
    if fits && !is_wildcard { Ok(text) } else { Err(wrong()) }
}

/// Returns where the nodes are listed.
fn peers(node: &Node) -> Result<Peers, Wrong> {
    let wrong = || {
        Wrong::expected(
            "a table such as { a = \"10.0.0.1:7400\", b = \"10.0.0.2:7400\" }, or a text such as \"dns:NAME:PORT\"",
        )
    };
    if let Ok(text) = text(node) {
        if text == "directory" {
            return Ok(Peers::Directory);
        }
        let name: Option<Authority> = text.strip_prefix("dns:").and_then(|name| name.parse().ok());
        let port = name.as_ref().and_then(Authority::port_u16).filter(|port| *port > 0);
        return match (name, port) {
            (Some(name), Some(port)) if !name.host().is_empty() && !name.as_str().contains('@') => {
                Ok(Peers::Dns { host: name.host().to_owned(), port })
            }
            _ => Err(wrong()),
        };
    }
    let mut peers = BTreeMap::new();
    for entry in node.entries().ok_or_else(wrong)? {
        let shown = |what: String| Wrong { found: Some(what), ..wrong() };
        let tag =
            Tag::of_name(&entry.name).ok_or_else(|| shown(format!("the name {}", show_text(&entry.name))))?;
        let address = place(&entry.node)
            .map_err(|_| shown(format!("{} for {}", entry.node.show(), show_text(&entry.name))))?;
        if peers.values().any(|other| *other == address) {
            return Err(shown(format!("{} twice", show_text(&address))));
        }
        peers.insert(tag, address);
    }
    Ok(Peers::Named(peers))
}

/// What is about the directory's TLS.
const TLS_KEYS: [&str; 3] = ["directory_ca", "directory_certificate", "directory_key"];
/// Entries are written again every third of it.
const TTL_MIN: Span = Span::from_secs(30);
/// Less would close the connections of a busy machine.
const SILENCE_MIN: Span = Span::from_millis(300);
