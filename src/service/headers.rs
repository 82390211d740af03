//! Which headers cross the proxy, and which it adds: the backend must learn who the client is, from nobody else.

use std::net::IpAddr;

use http::header::{
    ACCEPT_ENCODING, CONNECTION, EXPECT, FORWARDED, HOST, HeaderName, SEC_WEBSOCKET_PROTOCOL, TE, TRAILER,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use ipnet::IpNet;

use super::Client;
use crate::hop;

/// The headers of a session's first request that its backend gets to see.
///
/// All but those about the hop, about the body and about the WebSocket's own handshake; the subprotocol offer stays.
pub(super) fn for_upstream(headers: &HeaderMap, client: Client, trusted: &[IpNet]) -> HeaderMap {
    let mut kept = filtered(headers, &|name| name == SEC_WEBSOCKET_PROTOCOL);
    add_forwarded(&mut kept, client, trusted);
    kept
}

/// The same where another proxy has told who the client is: what it says of a hop is no concern of ours.
pub(super) fn for_demuxed(headers: &HeaderMap) -> HeaderMap {
    filtered(headers, &|_| false)
}

/// The same for a client whose WebSocket is relayed: its own handshake crosses.
pub(super) fn for_relay(headers: &HeaderMap, client: Client, trusted: &[IpNet]) -> HeaderMap {
    let mut kept = filtered(headers, &|_| true);
    add_forwarded(&mut kept, client, trusted);
    kept
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

/// The headers of a request that is forwarded: all but those about the hop.
pub(super) fn for_forward(head: &Parts, upgrade: bool, client: Client, trusted: &[IpNet]) -> HeaderMap {
    let headers = &head.headers;
    let mut kept = HeaderMap::with_capacity(headers.len() + 6);
    for (name, value) in headers {
        if !hop::is_hop_by_hop(name, headers) {
            kept.append(name, value.clone());
        }
    }
    // RFC 9110, section 10.1.1: such a client knows nothing of 100.
    if head.version < Version::HTTP_11 {
        kept.remove(EXPECT);
    }
    // The one capability that matters to the backend, as trailers are passed on.
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
    add_forwarded(&mut kept, client, trusted);
    kept
}

/// Removes from a backend's answer what is about the hop.
pub(super) fn for_client(head: &mut http::response::Parts) {
    let upgrade: Vec<HeaderValue> = match head.status {
        // The client needs to know to what.
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

/// Whether a request asks for another protocol. One that asks for HTTP/2 in the clear is not heard: what came over such a
/// connection would pass by everything that stands in front of the backend.
pub(super) fn upgrade(head: &Parts) -> bool {
    head.version == Version::HTTP_11
        && hop::names(&head.headers, &CONNECTION, "upgrade")
        && hop::list(&head.headers, &UPGRADE).next().is_some()
        && !hop::names(&head.headers, &UPGRADE, "h2c")
}

/// Says who the client is. What a trusted proxy said before is continued; what anybody else said is replaced.
fn add_forwarded(headers: &mut HeaderMap, client: Client, trusted: &[IpNet]) {
    let peer = canonical(client.peer.ip());
    if !trusted.iter().any(|net| net.contains(&peer)) {
        for name in [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, FORWARDED] {
            headers.remove(name);
        }
    }
    let proto = if client.secure { "https" } else { "http" };
    let host = headers.get(HOST).cloned();
    append_list(headers, X_FORWARDED_FOR, &peer.to_string());
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
    if let Some(host) = &host {
        headers.entry(X_FORWARDED_HOST).or_insert(host.clone());
    }
    // RFC 7239, section 4: an IPv6 address stands in brackets and quotes.
    let node = match peer {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let host = host.as_ref().and_then(|host| host.to_str().ok()).filter(|host| !host.contains(['"', '\\']));
    let element = match host {
        Some(host) => format!("for={node};host=\"{host}\";proto={proto}"),
        None => format!("for={node};proto={proto}"),
    };
    append_list(headers, FORWARDED, &element);
}

fn append_list(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before: Vec<&str> = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok()).collect();
    let list =
        if before.is_empty() { element.to_owned() } else { format!("{}, {element}", before.join(", ")) };
    if let Ok(list) = HeaderValue::from_str(&list) {
        headers.insert(name, list);
    }
}

/// An IPv4 client of a dual-stack listener is an IPv4 client.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client { peer: "192.0.2.7:4711".parse().unwrap(), secure: true }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn what_is_about_the_hop_the_body_or_the_handshake_stays_here() {
        let sent = headers(&[
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
        let kept = for_upstream(&sent, client(), &[]);
        let mut names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
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
                "x-tenant"
            ]
        );
    }

    #[test]
    fn a_stranger_cannot_say_who_the_client_is() {
        let sent = headers(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded-proto", "http"),
        ]);
        let kept = for_upstream(&sent, client(), &[]);
        assert_eq!(kept["x-forwarded-for"], "192.0.2.7");
        assert_eq!(kept["x-forwarded-proto"], "https");
        assert_eq!(kept["forwarded"], "for=192.0.2.7;proto=https");
    }

    #[test]
    fn a_trusted_proxy_is_continued() {
        let sent = headers(&[
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "http"),
            ("host", "a.example"),
        ]);
        let kept = for_upstream(&sent, client(), &["192.0.2.0/24".parse().unwrap()]);
        assert_eq!(kept["x-forwarded-for"], "203.0.113.9, 192.0.2.7");
        assert_eq!(kept["x-forwarded-proto"], "http");
        assert_eq!(kept["forwarded"], "for=192.0.2.7;host=\"a.example\";proto=https");
    }

    #[test]
    fn an_ipv6_client_is_written_as_its_rfc_asks() {
        let client = Client { peer: "[2001:db8::1]:1".parse().unwrap(), secure: false };
        assert_eq!(
            for_upstream(&HeaderMap::new(), client, &[])["forwarded"],
            "for=\"[2001:db8::1]\";proto=http"
        );
        let mapped = Client { peer: "[::ffff:192.0.2.1]:1".parse().unwrap(), secure: false };
        assert_eq!(for_upstream(&HeaderMap::new(), mapped, &[])["x-forwarded-for"], "192.0.2.1");
    }
}
