//! An upstream that is this very server: each request would come back as another one, until no descriptor is left.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use http::Uri;

use super::fault::{Problem, Sink};
use super::tree::{Entry, show_text};
use crate::upstream::{Settings, is_secure};

/// Reports each URL that leads to one of our own listeners, each with the key that it stands at.
pub(super) fn check(
    entries: &[Entry],
    upstreams: &BTreeMap<String, Settings>,
    listeners: &[(&str, SocketAddr)],
    sink: &Sink,
) {
    for entry in entries {
        let urls = upstreams.get(&entry.name).map(|settings| &*settings.urls).unwrap_or_default();
        for url in urls {
            let Some((key, own)) = listeners.iter().find(|(_, own)| leads_to(url, *own)) else { continue };
            let place = entry.node.get("url").map_or(&entry.place, |node| &node.place);
            let wrong = Problem::Wrong {
                found: show_text(&url.to_string()),
                expected: format!("another server than this one, whose {key} has {own}"),
                hint: String::new(),
            };
            sink.push(place, format!("upstreams.{}.url", entry.name), wrong);
        }
    }
}

/// Returns whether a connection to the URL reaches the listener.
fn leads_to(url: &Uri, own: SocketAddr) -> bool {
    let port = url.port_u16().unwrap_or(if is_secure(url) { 443 } else { 80 });
    // Port 0 is any free port, which nobody can name.
    port == own.port() && port != 0 && addresses(url).into_iter().any(|address| reaches(address, own.ip()))
}

/// What the host is, as far as that is known without asking for its name.
fn addresses(url: &Uri) -> Vec<IpAddr> {
    let host =
        url.host().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    // RFC 6761, section 6.3.
    if host == "localhost" || host.ends_with(".localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    host.parse::<IpAddr>().map(|address| vec![address.to_canonical()]).unwrap_or_default()
}

fn reaches(address: IpAddr, own: IpAddr) -> bool {
    // To dial no address in particular is to dial this host.
    let loopback = match address {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let address = if address.is_unspecified() { loopback } else { address };
    // One that listens on all addresses of IPv6 has those of IPv4 as well.
    address == own.to_canonical()
        || own.is_unspecified() && (own.is_ipv6() || address.is_ipv4()) && is_ours(address)
}

/// Whether the address is one of this host's: only then can it be bound.
fn is_ours(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn faults(listen: &str, admin: &str, url: &str) -> String {
        let kind = if url.starts_with("http") { "http" } else { "websocket" };
        let dialect = if kind == "http" { "http" } else { "websocket" };
        let text = format!(
            "[server]\nlisten = ['{listen}']\n[admin]\nlisten = '{admin}'\n[[routes]]\npath = '/'\ndialect = '{dialect}'\n\
             upstream = 'u'\n[upstreams.u]\nkind = '{kind}'\nurl = ['{url}', 'ws://other:1/']\n"
        )
        .replace("'ws://other:1/'", &format!("'{}://other:1/'", if kind == "http" { "http" } else { "ws" }));
        let parsed = Config::parse(&text, "config.toml", std::iter::empty());
        parsed.map_or_else(|faults| faults.to_string(), |_| String::new())
    }

    #[test]
    fn an_upstream_that_is_our_own_listener_is_refused() {
        for (listen, url) in [
            ("127.0.0.1:8080", "ws://127.0.0.1:8080/"),
            ("127.0.0.1:8080", "http://localhost:8080/"),
            ("127.0.0.1:8080", concat!("http:", "//LOCALHOST.:8080/x")),
            ("127.0.0.1:8080", concat!("http:", "//app.localhost:8080/")),
            ("127.0.0.1:8080", "http://0.0.0.0:8080/"),
            ("127.0.0.1:80", "http://127.0.0.1/"),
            ("127.0.0.1:443", "wss://127.0.0.1/"),
            ("[::1]:8080", "http://[::1]:8080/"),
            ("[::1]:8080", "http://localhost:8080/"),
            ("[::1]:8080", "http://[::]:8080/"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080/"),
            ("0.0.0.0:8080", "http://127.7.7.7:8080/"),
            ("0.0.0.0:8080", "http://localhost:8080/"),
            ("0.0.0.0:8080", "http://0.0.0.0:8080/"),
            ("[::]:8080", "http://127.0.0.1:8080/"),
            ("[::]:8080", "http://[::1]:8080/"),
            ("[::]:8080", "http://[::ffff:127.0.0.1]:8080/"),
            ("[::]:8080", "http://localhost:8080/"),
            ("10.1.2.3:8080", "http://10.1.2.3:8080/"),
        ] {
            let told = faults(listen, "127.0.0.1:9090", url);
            assert!(told.contains("upstreams.u.url"), "{listen} {url}: {told}");
            assert!(told.contains("another server than this one, whose server.listen has"), "{told}");
            // The other one just as well.
            let told = faults("127.0.0.1:1", listen, url);
            assert!(told.contains("another server than this one, whose admin.listen has"), "{told}");
        }
        for (listen, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8081/"),
            ("127.0.0.1:8080", "http://127.0.0.2:8080/"),
            ("0.0.0.0:8080", "http://[::1]:8080/"),
            ("0.0.0.0:8080", "http://203.0.113.7:8080/"),
            ("0.0.0.0:8080", "http://backend.example:8080/"),
            ("127.0.0.1:0", "http://127.0.0.1:80/"),
        ] {
            assert_eq!(faults(listen, "127.0.0.1:9090", url), "", "{listen} {url}");
        }
    }
}
