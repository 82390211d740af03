//! An upstream that is this very server: each request would come back as another one, until no descriptor is left.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;

use http::Uri;

use super::fault::{Problem, Sink};
use super::listeners::Taken;
use super::tree::{Entry, show_text};
use crate::address::ListenAddress;
use crate::upstream::{Settings, is_secure};

/// Reports each URL that leads to one of our own listeners, each with the key that it stands at.
pub(super) fn check(
    entries: &[Entry],
    upstreams: &BTreeMap<String, Settings>,
    listeners: &[Taken],
    sink: &Sink,
) {
    for entry in entries {
        let Some(settings) = upstreams.get(&entry.name) else { continue };
        let report = |of: &str, found: String, own: &Taken| {
            let place = entry.node.get(of).map_or(&entry.place, |node| &node.place);
            let Taken { key, address, .. } = own;
            let expected = format!("another server than this one, whose {key} has {address}");
            let wrong = Problem::Wrong { found: show_text(&found), expected, hint: String::new() };
            sink.push(place, format!("upstreams.{}.{of}", entry.name), wrong);
        };
        for path in &settings.sockets {
            let own = ListenAddress::Unix(Arc::clone(path));
            if let Some(taken) = listeners.iter().find(|taken| taken.address == own) {
                report("socket", path.display().to_string(), taken);
            }
        }
        // With a socket, nobody dials the host.
        let urls = if settings.sockets.is_empty() { &*settings.urls } else { &[] };
        for url in urls {
            if let Some(taken) = listeners.iter().find(|own| leads_to(url, own)) {
                report("url", url.to_string(), taken);
            }
        }
    }
}

/// Returns whether a connection to the URL reaches the listener.
fn leads_to(url: &Uri, own: &Taken) -> bool {
    let port = url.port_u16().unwrap_or(if is_secure(url) { 443 } else { 80 });
    // Port 0 is any free port, which nobody can name.
    let Some(listens) = own.address.ip().filter(|listens| port == listens.port() && port != 0) else {
        return false;
    };
    addresses(url).into_iter().any(|address| reaches(address, listens.ip(), own.has_both_families()))
}

/// Returns what the host is, as far as that is known without asking other machines for its name.
fn addresses(url: &Uri) -> Vec<IpAddr> {
    let host =
        url.host().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    // RFC 6761, section 6.3.
    if host == "localhost" || host.ends_with(".localhost") {
        return loopback.into();
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return vec![address.to_canonical()];
    }
    if let Some(address) = old_ipv4(&host) {
        return vec![address.into()];
    }
    if own_name().is_some_and(|own| own.eq_ignore_ascii_case(&host)) {
        // This machine's file of hosts has it, mostly.
        let resolved = (&*host, 0).to_socket_addrs().into_iter().flatten();
        let resolved: Vec<_> = resolved.map(|address| address.ip().to_canonical()).collect();
        return if resolved.is_empty() { loopback.into() } else { resolved };
    }
    Vec::new()
}

/// Returns an address of IPv4 as the system's resolver takes it besides the usual form: with fewer numbers, the last of
/// which fills the rest, and each of them decimal, octal or hexadecimal (POSIX, `inet_addr`).
fn old_ipv4(host: &str) -> Option<Ipv4Addr> {
    let number = |text: &str| match text.as_bytes() {
        [b'0', b'x', hex @ ..] => {
            if hex.is_empty() {
                Some(0)
            } else {
                u32::from_str_radix(&text[2..], 16).ok()
            }
        }
        [b'0', _, ..] => u32::from_str_radix(text, 8).ok(),
        [b'0'..=b'9', ..] => text.parse().ok(),
        _ => None,
    };
    let numbers = host.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, bytes) = numbers.split_last()?;
    let bits = 32_u32.checked_sub(8 * u32::try_from(bytes.len()).ok()?).filter(|bits| *bits > 0)?;
    let fits = bytes.iter().all(|byte| *byte < 256) && u64::from(*last) < 1 << bits;
    let high = bytes.iter().fold(0_u32, |high, byte| high << 8 | byte);
    fits.then(|| Ipv4Addr::from(high.checked_shl(bits).unwrap_or_default() | last))
}

/// Returns what this machine is called.
fn own_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn reaches(address: IpAddr, own: IpAddr, has_both_families: bool) -> bool {
    // To dial no address in particular is to dial this host.
    let loopback = match address {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let address = if address.is_unspecified() { loopback } else { address };
    let is_among = own.is_ipv4() == address.is_ipv4() || has_both_families;
    address == own.to_canonical() || own.is_unspecified() && is_among && is_ours(address)
}

/// Returns whether the address is one of this host's: only then can it be bound.
fn is_ours(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

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
    fn an_upstream_that_is_this_machine_by_name_or_by_any_address_is_refused() {
        let machine = own_name().expect("a machine has a name");
        // No packet is sent: this only asks which of our addresses would be used.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let outside = socket.connect("203.0.113.7:9").and_then(|()| socket.local_addr());
        let hosts =
            [Ok(machine.to_uppercase()), Ok(machine), outside.map(|address| address.ip().to_string())];
        for host in hosts.into_iter().flatten() {
            let told = faults("0.0.0.0:8080", "127.0.0.1:9090", &format!("http://{host}:8080/"));
            assert!(told.contains("another server than this one"), "{host}: {told}");
        }
    }

    #[test]
    fn what_the_resolver_takes_for_an_address_is_one() {
        let text = |host| old_ipv4(host).map(|address| address.to_string());
        for (host, address) in [
            ("0", "0.0.0.0"),
            ("1.2", "1.0.0.2"),
            ("1.2.3", "1.2.0.3"),
            ("1.2.65535", "1.2.255.255"),
            ("010.0x10.8.9", "8.16.8.9"),
            ("4294967295", "255.255.255.255"),
        ] {
            assert_eq!(text(host).as_deref(), Some(address), "{host}");
        }
        for host in
            ["", ".", "a", "1.", "1.2.3.4.5", "256.1", "1.2.65536", "4294967296", "08.1", "1.-1", "0xg"]
        {
            assert_eq!(text(host), None, "{host}");
        }
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
            ("127.0.0.1:8080", "http://127.1:8080/"),
            ("127.0.0.1:8080", "http://2130706433:8080/"),
            ("127.0.0.1:8080", "http://0x7f.1:8080/"),
            ("127.0.0.1:8080", "http://0177.0.0.01:8080/"),
            ("127.0.0.1:8080", "http://0:8080/"),
            ("127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080/"),
            ("127.0.0.1:8080", "http://[::ffff:7f00:1]:8080/"),
            ("0.0.0.0:8080", "http://127.1:8080/"),
            ("0.0.0.0:8080", "http://2130706433:8080/"),
            ("0.0.0.0:8080", "http://0:8080/"),
            ("0.0.0.0:8080", "http://[::ffff:127.0.0.1]:8080/"),
            ("[::]:8080", "http://127.1:8080/"),
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
            ("127.0.0.1:8080", "http://127.2:8080/"),
            ("127.0.0.1:8080", "http://2130706434:8080/"),
            ("127.0.0.1:8080", "http://127.1.example:8080/"),
            ("0.0.0.0:8080", "http://203.0.1801:8080/"),
        ] {
            assert_eq!(faults(listen, "127.0.0.1:9090", url), "", "{listen} {url}");
        }
    }
}
