//! Which headers are forwarded, and which are added: the backend must learn who the client is, and only from the proxy.

use std::net::{IpAddr, SocketAddr};

use http::header::{
    ACCEPT_ENCODING, CONNECTION, EXPECT, FORWARDED, HOST, HeaderName, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, SEC_WEBSOCKET_PROTOCOL, TE, TRAILER, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::Client;
use super::granted::{self, Granted};
use super::settings::HeaderRules;
use super::via::Via;
use crate::address::{TrustedProxy, is_among};
use crate::dialect::Subprotocol;
use crate::hop::{self, HopByHop};

/// What a backend is told besides the client's headers.
#[derive(Debug)]
pub(super) struct Onward<'r> {
    pub(super) client: &'r Client,
    /// Proxies in front whose forwarding headers are trusted.
    pub(super) trusted: &'r [TrustedProxy],
    /// The name in `Via`; `None` if the route does not add it.
    pub(super) via: Option<&'r Via>,
    /// The headers that tell who the client is, which it cannot set itself.
    pub(super) identity: &'r [HeaderName],
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
    onward.complete(headers, head)
}

/// Returns the headers for a session whose client another proxy has identified: that hop's headers do not matter here.
pub(super) fn for_demuxed(headers: &HeaderMap) -> HeaderMap {
    filtered(headers, &|_| false)
}

/// Returns the headers of the question whether a client may come in: what is asked for has neither a body nor a state that
/// the client could know.
pub(super) fn for_auth(head: &Parts, onward: &Onward<'_>) -> HeaderMap {
    onward.complete(of_question(&head.headers), head)
}

/// Returns the headers of the same question about a session whose client another proxy has identified.
pub(super) fn of_question(headers: &HeaderMap) -> HeaderMap {
    let mut headers = filtered(headers, &|name| name == SEC_WEBSOCKET_PROTOCOL);
    for name in [RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
        headers.remove(name);
    }
    headers
}

/// Returns the headers for a client whose WebSocket is relayed, including its own handshake.
pub(super) fn for_relay(head: &Parts, onward: &Onward<'_>) -> HeaderMap {
    onward.complete(filtered(&head.headers, &|_| true), head)
}

fn filtered(headers: &HeaderMap, crosses: &dyn Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    let hop = HopByHop::of(headers);
    for (name, value) in headers {
        let handshake = name.as_str().starts_with("sec-websocket-") && !crosses(name);
        let body = name.as_str().starts_with("content-") || [ACCEPT_ENCODING, EXPECT, TRAILER].contains(name);
        if !(hop.has(name) || handshake || body) {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// Returns the headers of a forwarded request: all except hop-by-hop ones.
pub(super) fn for_forward(head: &Parts, upgrade: bool, onward: &Onward<'_>) -> HeaderMap {
    let headers = &head.headers;
    let mut kept = HeaderMap::with_capacity(headers.len() + 6);
    let hop = HopByHop::of(headers);
    for (name, value) in headers {
        if name != TRAILER && !hop.has(name) {
            kept.append(name, value.clone());
        }
    }
    let trailers = hop::trailers(headers, |name| granted::is_among(name, onward.identity));
    kept.extend(trailers.map(|names| (TRAILER, names)));
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
    onward.complete(kept, head)
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
    fn complete(&self, mut headers: HeaderMap, head: &Parts) -> HeaderMap {
        self.add_forwarded(&mut headers);
        // Behind the filters: `Connection` could name what was granted.
        granted::replace(&mut headers, self.identity, head.extensions.get::<Granted>());
        if let Some(via) = self.via {
            via.add(&mut headers, head.version);
        }
        self.rules.apply(&mut headers);
        headers
    }

    /// Adds who the client is. A trusted proxy's values are continued; all others are replaced, or removed if this
    /// proxy has no value of its own.
    fn add_forwarded(&self, headers: &mut HeaderMap) {
        let peer = self.client.peer.ip();
        let is_trusted = self.client.peer.is_among(self.trusted);
        let is_lie = |name: &&HeaderName| {
            hop::is_client_certificate(name)
                || if is_trusted { hop::is_disguised_identity(name) } else { hop::is_identity(name) }
        };
        let lies: Vec<HeaderName> = headers.keys().filter(is_lie).cloned().collect();
        for name in lies {
            headers.remove(name);
        }
        if let Some(subject) = &self.client.subject {
            headers.insert(hop::CLIENT_CERTIFICATE, HeaderValue::clone(subject));
        }
        let address = peer.map(|peer| peer.to_string());
        // A trusted proxy that leaves it out does not become the client.
        if let Some(address) = address.as_ref().filter(|_| !is_trusted)
            && let Ok(address) = HeaderValue::from_str(address)
        {
            headers.insert(X_REAL_IP, address);
        }
        let proto = if self.client.secure { "https" } else { "http" };
        let host = headers.get(HOST).cloned();
        if let Some(address) = &address {
            append_list(headers, X_FORWARDED_FOR, address);
        }
        headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
        if let Some(host) = &host {
            headers.entry(X_FORWARDED_HOST).or_insert(host.clone());
        }
        // RFC 7239, sections 4 and 6.2: an IPv6 address is written in brackets and quotes, and what has none is unknown.
        let node = match peer {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
            None => "unknown".to_owned(),
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

/// Returns a client's address: the last in `X-Forwarded-For` that is none of a trusted proxy's, where one tells it. `None`
/// is a process of this host that does not say so, or a client that a trusted proxy describes in another way: it must not
/// get what is that proxy's.
pub(super) fn address_of(headers: &HeaderMap, client: &Client, trusted: &[TrustedProxy]) -> Option<IpAddr> {
    let mut address = client.peer.ip();
    let mut is_trusted = client.peer.is_among(trusted);
    if !is_trusted {
        return address;
    }
    let told: Vec<&[u8]> = hop::list(headers, &X_FORWARDED_FOR).collect();
    for told in told.into_iter().rev() {
        if !is_trusted {
            break;
        }
        let next = std::str::from_utf8(told).ok().and_then(|told| ip_of(told.trim()))?.to_canonical();
        (address, is_trusted) = (Some(next), is_among(next, trusted));
    }
    address
}

/// Returns an address without its port: some proxies write that, too.
fn ip_of(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare)
}

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests;
