//! Which headers are forwarded, and which are added: the backend must learn who the client is, and only from the proxy.

use std::net::IpAddr;

use http::header::{
    ACCEPT_ENCODING, CONNECTION, EXPECT, FORWARDED, HOST, HeaderName, SEC_WEBSOCKET_PROTOCOL, TE, TRAILER,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use ipnet::IpNet;

use super::Client;
use super::settings::HeaderRules;
use super::via::Via;
use crate::dialect::Subprotocol;
use crate::hop;

/// What a backend is told besides the client's headers.
#[derive(Debug)]
pub(super) struct Onward<'r> {
    pub(super) client: &'r Client,
    /// Proxies in front whose forwarding headers are trusted.
    pub(super) trusted: &'r [IpNet],
    /// The name in `Via`; `None` if the route does not add it.
    pub(super) via: Option<&'r Via>,
    /// The headers that the route sets and removes.
    pub(super) rules: &'r HeaderRules,
}

/// Returns the headers of a session's first request for its backend.
///
/// All except hop-by-hop headers, those of the body and those of the WebSocket handshake, with an offer of subprotocols.
pub(super) fn for_upstream(head: &Parts, offer: &Subprotocol, onward: &Onward<'_>) -> HeaderMap {
    let is_clients = *offer == Subprotocol::Clients;
    let mut headers = filtered(&head.headers, &|name| is_clients && name == SEC_WEBSOCKET_PROTOCOL);
    if let Subprotocol::Routes(Some(name)) = offer {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name.clone());
    }
    onward.complete(headers, head.version)
}

/// Returns the headers for a session whose client another proxy has identified: that hop's headers do not matter here.
pub(super) fn for_demuxed(headers: &HeaderMap) -> HeaderMap {
    filtered(headers, &|_| false)
}

/// Returns the headers for a client whose WebSocket is relayed, including its own handshake.
pub(super) fn for_relay(head: &Parts, onward: &Onward<'_>) -> HeaderMap {
    onward.complete(filtered(&head.headers, &|_| true), head.version)
}

fn filtered(headers: &HeaderMap, crosses: &dyn Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let hop = hop::is_hop_by_hop(name, headers);
        let handshake = name.as_str().starts_with("sec-websocket-") && !crosses(name);
        let body = name.as_str().starts_with("content-") || [ACCEPT_ENCODING, EXPECT, TRAILER].contains(name);
        if !(hop || handshake || body) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Returns the headers of a forwarded request: all except hop-by-hop ones.
pub(super) fn for_forward(head: &Parts, upgrade: bool, onward: &Onward<'_>) -> HeaderMap {
    let headers = &head.headers;
    let mut kept = HeaderMap::with_capacity(headers.len() + 6);
    for (name, value) in headers {
        if !hop::is_hop_by_hop(name, headers) {
            kept.append(name, value.clone());
        }
    }
    // RFC 9110, section 10.1.1: such a client does not understand a 100.
    if head.version < Version::HTTP_11 {
        kept.remove(EXPECT);
    }
    // The one member that matters to the backend, as trailers are passed on.
    if hop::list(headers, &TE).any(|coding| coding.split(|&byte| byte == b';').next() == Some(b"trailers")) {
        kept.insert(TE, HeaderValue::from_static("trailers"));
        kept.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if upgrade {
        kept.append(CONNECTION, HeaderValue::from_static("upgrade"));
        for protocol in headers.get_all(UPGRADE) {
            kept.append(UPGRADE, protocol.clone());
        }
    }
    onward.complete(kept, head.version)
}

/// Removes the hop-by-hop headers from a backend's response.
pub(super) fn for_client(head: &mut http::response::Parts) {
    let upgrade: Vec<HeaderValue> = match head.status {
        // The client needs to know the protocol.
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED => {
            head.headers.get_all(UPGRADE).iter().cloned().collect()
        }
        _ => Vec::new(),
    };
    hop::remove_hop_by_hop(&mut head.headers);
    if !upgrade.is_empty() {
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    for protocol in upgrade {
        head.headers.append(UPGRADE, protocol);
    }
}

/// Returns whether a request asks for another protocol. A request for HTTP/2 in clear text is ignored: requests on such
/// a connection would bypass everything in front of the backend.
pub(super) fn upgrade(head: &Parts) -> bool {
    head.version >= Version::HTTP_11
        && hop::names(&head.headers, &CONNECTION, "upgrade")
        && hop::list(&head.headers, &UPGRADE).next().is_some()
        && !hop::names(&head.headers, &UPGRADE, "h2c")
}

impl Onward<'_> {
    /// Adds who the client is, `Via`, and the route's headers.
    fn complete(&self, mut headers: HeaderMap, version: Version) -> HeaderMap {
        self.add_forwarded(&mut headers);
        if let Some(via) = self.via {
            via.add(&mut headers, version);
        }
        self.rules.apply(&mut headers);
        headers
    }

    /// Adds who the client is. A trusted proxy's values are continued; all others are replaced, or removed if this
    /// proxy has no value of its own.
    fn add_forwarded(&self, headers: &mut HeaderMap) {
        let peer = canonical(self.client.peer.ip());
        let address = peer.to_string();
        let is_trusted = self.client.is_among(self.trusted);
        let is_lie =
            |name: &&HeaderName| hop::is_client_certificate(name) || !is_trusted && hop::is_identity(name);
        let lies: Vec<HeaderName> = headers.keys().filter(is_lie).cloned().collect();
        for name in lies {
            headers.remove(name);
        }
        if let Some(subject) = &self.client.subject {
            headers.insert(hop::CLIENT_CERTIFICATE, HeaderValue::clone(subject));
        }
        if !is_trusted {
            // A trusted proxy that leaves it out does not become the client.
            if let Ok(address) = HeaderValue::from_str(&address) {
                headers.insert(X_REAL_IP, address);
            }
        }
        let proto = if self.client.secure { "https" } else { "http" };
        let host = headers.get(HOST).cloned();
        append_list(headers, X_FORWARDED_FOR, &address);
        headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
        if let Some(host) = &host {
            headers.entry(X_FORWARDED_HOST).or_insert(host.clone());
        }
        // RFC 7239, section 4: an IPv6 address is written in brackets and quotes.
        let node = match peer {
            IpAddr::V4(_) => address,
            IpAddr::V6(_) => format!("\"[{address}]\""),
        };
        let host =
            host.as_ref().and_then(|host| host.to_str().ok()).filter(|host| !host.contains(['"', '\\']));
        let element = match host {
            Some(host) => format!("for={node};host=\"{host}\";proto={proto}"),
            None => format!("for={node};proto={proto}"),
        };
        append_list(headers, FORWARDED, &element);
    }
}

fn append_list(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut list = Vec::new();
    for line in headers.get_all(&name) {
        // Byte by byte: a line with a byte above 127 must not remove the others' values.
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name, list);
    }
}

/// Returns the IPv4 address of an IPv4 client that came by a dual-stack listener.
/// Returns a client's address: the last in `X-Forwarded-For` that is none of a trusted proxy's, where one tells it.
pub(super) fn address_of(headers: &HeaderMap, client: &Client, trusted: &[IpNet]) -> IpAddr {
    let mut address = canonical(client.peer.ip());
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(address) {
        return address;
    }
    let told: Vec<&[u8]> = hop::list(headers, &X_FORWARDED_FOR).collect();
    for told in told.into_iter().rev() {
        if !is_trusted(address) {
            break;
        }
        let Some(next) = std::str::from_utf8(told).ok().and_then(|told| told.trim().parse().ok()) else {
            break;
        };
        address = canonical(next);
    }
    address
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn client() -> Client {
        Client { peer: "192.0.2.7:4711".parse().unwrap(), secure: true, subject: None }
    }

    fn sent(pairs: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder();
        for (name, value) in pairs {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    fn kept(head: &Parts, client: &Client, trusted: &[&str]) -> HeaderMap {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let rules = HeaderRules::default();
        for_upstream(
            head,
            &Subprotocol::Clients,
            &Onward { client, trusted: &trusted, via: None, rules: &rules },
        )
    }

    #[test]
    fn what_is_about_the_hop_the_body_or_the_handshake_stays_here() {
        let sent = sent(&[
            ("host", "chat.example.org"),
            ("cookie", "a=b"),
            ("authorization", "Bearer x"),
            ("origin", "https://example.org"),
            ("user-agent", "test"),
            ("accept-language", "de"),
            ("x-tenant", "7"),
            ("sec-websocket-protocol", "chat"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("content-length", "2"),
            ("accept-encoding", "gzip"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ]);
        let got = kept(&sent, &client(), &[]);
        let mut names: Vec<&str> = got.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept-language",
                "authorization",
                "cookie",
                "forwarded",
                "host",
                "origin",
                "sec-websocket-protocol",
                "user-agent",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto",
                "x-real-ip",
                "x-tenant"
            ]
        );
    }

    #[test]
    fn nobody_but_this_proxy_says_whose_certificate_a_client_has_shown() {
        let lies = sent(&[
            ("x-client-cert-subject", "CN=root"),
            ("x_client_cert_subject", "CN=root"),
            ("connection", "x-client-cert-subject"),
        ]);
        let shown = Client { subject: Some(Arc::new(HeaderValue::from_static("CN=alice"))), ..client() };
        // A trusted proxy that does not know the header passes its client's.
        for trusted in [&[][..], &["192.0.2.0/24"]] {
            for (client, subject) in [(client(), None), (shown.clone(), Some("CN=alice"))] {
                let got = kept(&lies, &client, trusted);
                let told: Vec<_> = got.iter().filter(|(name, _)| hop::is_client_certificate(name)).collect();
                assert_eq!(told.len(), usize::from(subject.is_some()), "{got:?}");
                assert!(told.iter().all(|(_, value)| Some(value.as_bytes()) == subject.map(str::as_bytes)));
            }
        }
    }

    #[test]
    fn a_stranger_cannot_say_who_the_client_is() {
        let sent = sent(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded-proto", "http"),
        ]);
        let got = kept(&sent, &client(), &[]);
        assert_eq!(got["x-forwarded-for"], "192.0.2.7");
        assert_eq!(got["x-forwarded-proto"], "https");
        assert_eq!(got["forwarded"], "for=192.0.2.7;proto=https");
    }

    #[test]
    fn a_trusted_proxys_forwarding_headers_are_continued() {
        let sent =
            sent(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "http"), ("host", "a.example")]);
        let got = kept(&sent, &client(), &["192.0.2.0/24"]);
        assert_eq!(got["x-forwarded-for"], "203.0.113.9, 192.0.2.7");
        assert_eq!(got["x-forwarded-proto"], "http");
        assert_eq!(got["forwarded"], "for=192.0.2.7;host=\"a.example\";proto=https");
    }

    #[test]
    fn no_header_about_the_client_is_taken_from_the_client_itself() {
        let names = [
            "X-Real-IP",
            "X-Forwarded-Port",
            "X-Forwarded-Ssl",
            "X-Forwarded-Scheme",
            "X-Forwarded-Prefix",
            "X-Forwarded-Server",
            "True-Client-IP",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X_Forwarded_For",
            "x_real_ip",
            "any_name",
            "Client-IP",
            "X-Client-IP",
            "Forwarded",
        ];
        for name in names {
            let head = sent(&[(name, "evil"), ("connection", "close"), ("x-own", "1")]);
            let from_client = kept(&head, &client(), &[]);
            let says = |headers: &HeaderMap| {
                headers.get(name).is_some_and(|value| value.as_bytes().starts_with(b"evil"))
            };
            assert!(!says(&from_client), "{name}");
            assert_eq!(from_client["x-real-ip"], "192.0.2.7");
            assert_eq!(from_client["x-own"], "1");
            let from_proxy = kept(&head, &client(), &["192.0.2.7/32"]);
            assert!(says(&from_proxy), "{name}");
            assert_eq!(from_proxy.contains_key("x-real-ip"), name == "X-Real-IP");
        }
    }

    #[test]
    fn connection_and_odd_bytes_do_not_change_whom_a_backend_trusts() {
        for connection in
            ["x-forwarded-for, x-real-ip, forwarded", "\u{e4}, x-forwarded-for", "x-hop\u{ff}, close"]
        {
            let head = sent(&[
                ("connection", connection),
                ("connection", "X-Hop"),
                ("x-hop", "1"),
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-for", "\u{e4}"),
                ("x-forwarded-for", "203.0.113.10"),
                ("x-real-ip", "203.0.113.9"),
            ]);
            let from_client = kept(&head, &client(), &[]);
            assert_eq!(
                (&from_client["x-forwarded-for"], &from_client["x-real-ip"]),
                (&"192.0.2.7".parse().unwrap(), &"192.0.2.7".parse().unwrap())
            );
            assert!(!from_client.contains_key("x-hop"));
            let from_proxy = kept(&head, &client(), &["192.0.2.0/24"]);
            let list = "203.0.113.9, \u{e4}, 203.0.113.10, 192.0.2.7";
            assert_eq!(from_proxy["x-forwarded-for"].as_bytes(), list.as_bytes());
            assert_eq!(from_proxy["x-real-ip"], "203.0.113.9");
        }
    }

    #[test]
    fn an_ipv6_client_is_written_as_its_rfc_asks() {
        let client = Client { peer: "[2001:db8::1]:1".parse().unwrap(), secure: false, subject: None };
        assert_eq!(kept(&sent(&[]), &client, &[])["forwarded"], "for=\"[2001:db8::1]\";proto=http");
        let mapped = Client { peer: "[::ffff:192.0.2.1]:1".parse().unwrap(), secure: false, subject: None };
        assert_eq!(kept(&sent(&[]), &mapped, &[])["x-forwarded-for"], "192.0.2.1");
    }
}
