//! Which headers cross the proxy, and which it adds: the backend must learn who the client is, from nobody else.

use std::net::IpAddr;

use http::header::{
    ACCEPT_ENCODING, CONNECTION, EXPECT, FORWARDED, HOST, HeaderName, SEC_WEBSOCKET_PROTOCOL, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use super::Client;

/// The headers of a session's first request that its backend gets to see.
///
/// All but those about the hop, about the body and about the WebSocket's own handshake; the subprotocol offer stays.
pub(super) fn for_upstream(headers: &HeaderMap, client: Client, trusted: &[IpNet]) -> HeaderMap {
    filtered(headers, client, trusted, &|name| name == SEC_WEBSOCKET_PROTOCOL)
}

/// The same for a client whose WebSocket is relayed: its own handshake crosses.
pub(super) fn for_relay(headers: &HeaderMap, client: Client, trusted: &[IpNet]) -> HeaderMap {
    filtered(headers, client, trusted, &|_| true)
}

fn filtered(
    headers: &HeaderMap,
    client: Client,
    trusted: &[IpNet],
    crosses: &dyn Fn(&HeaderName) -> bool,
) -> HeaderMap {
    let named: Vec<&str> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let hop = is_hop(name) || named.iter().any(|other| name.as_str().eq_ignore_ascii_case(other));
        let handshake = name.as_str().starts_with("sec-websocket-") && !crosses(name);
        let body = name.as_str().starts_with("content-") || name == ACCEPT_ENCODING || name == EXPECT;
        if !(hop || handshake || body) {
            kept.append(name, value.clone());
        }
    }
    add_forwarded(&mut kept, client, trusted);
    kept
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

/// RFC 9110, section 7.6.1.
fn is_hop(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "proxy-authorization" | "proxy-authenticate"
        )
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
