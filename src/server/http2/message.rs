//! Requests and responses of HTTP/2 in the form of HTTP/1.1, which is what services know.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Uri};
use http_body::Body;
use hyper::ext::Protocol;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::duplex::StreamTerms;
use crate::server::caller::Request;

/// What a request needs of its response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// A response as HTTP/1.1 has it.
    Whole,
    /// One without a body (`HEAD`).
    Head,
    /// A WebSocket (RFC 8441), for which the service was given this key.
    WebSocket(HeaderValue),
}

/// Returns a request as it would be read from HTTP/1.1 but for its cookies ([`join_cookies`]), and what it needs of its
/// response. `terms` are what it takes with it if it becomes a byte stream.
pub(super) fn read(request: Request, terms: impl FnOnce() -> StreamTerms) -> (Request, Asked) {
    let (mut head, body) = request.into_parts();
    let mut asked = if head.method == Method::HEAD { Asked::Head } else { Asked::Whole };
    if asks_web_socket(&head) {
        let key = key();
        ask_web_socket(&mut head, &key);
        head.extensions.insert(terms());
        asked = Asked::WebSocket(key);
    }
    // What else it connects to, no service knows.
    if head.method != Method::CONNECT {
        set_host(&mut head);
    }
    (Request::from_parts(head, body), asked)
}

fn asks_web_socket(head: &Parts) -> bool {
    let protocol = head.extensions.get::<Protocol>().map(Protocol::as_str);
    head.method == Method::CONNECT && protocol.is_some_and(|name| name.eq_ignore_ascii_case(WEBSOCKET))
}

/// Makes an extended CONNECT the handshake of RFC 6455, in which the key shows that the answer is to it. RFC 8441 needs
/// none, as each request has a stream.
fn ask_web_socket(head: &mut Parts, key: &HeaderValue) {
    head.method = Method::GET;
    head.extensions.remove::<Protocol>();
    head.headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    head.headers.insert(SEC_WEBSOCKET_KEY, key.clone());
}

/// Returns a key of a handshake. It is no secret; it only tells one answer from another.
fn key() -> HeaderValue {
    let mut nonce = [0; 16];
    let _ = getrandom::fill(&mut nonce);
    HeaderValue::from_str(&STANDARD.encode(nonce)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Has a request name its host in `Host`, and only there.
fn set_host(head: &mut Parts) {
    let Some(host) = head.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok()) else {
        return;
    };
    let is_same = |one: &HeaderValue| one.as_bytes().eq_ignore_ascii_case(host.as_bytes());
    if head.headers.get_all(HOST).iter().all(is_same) {
        head.headers.insert(HOST, host);
    } else {
        // Such a request is malformed (RFC 9113, section 8.3.1), and refused as one of two hosts.
        head.headers.append(HOST, host);
    }
    head.uri = head.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
}

/// Joins cookies, which may come one by one (RFC 9113, section 8.2.3): backends read only one line.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(all) = HeaderValue::from_maybe_shared(Bytes::from(lines.join(&b"; "[..])))
    {
        headers.insert(COOKIE, all);
    }
}

/// Prepares a response for hyper, which itself removes the headers that are about a connection of HTTP/1.1.
pub(super) fn finish<B: Body + From<&'static str>>(response: &mut Response<B>, asked: &Asked) {
    match asked {
        Asked::Whole => {}
        // Hyper would send the body.
        Asked::Head => {
            let (is_end, len) = (response.body().is_end_stream(), response.body().size_hint().exact());
            if let Some(len) = len.filter(|_| !is_end) {
                response.headers_mut().entry(CONTENT_LENGTH).or_insert(len.into());
            }
        }
        Asked::WebSocket(key) => accept_web_socket(response, key),
    }
}

/// Makes the answer to a handshake that of RFC 8441, section 5: 200 accepts it, and any other status refuses it.
fn accept_web_socket<B: From<&'static str>>(response: &mut Response<B>, key: &HeaderValue) {
    let accept = response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    let is_accepted = response.status() == StatusCode::SWITCHING_PROTOCOLS
        && accept.is_some_and(|accept| accept == derive_accept_key(key.as_bytes()));
    if is_accepted {
        *response.status_mut() = StatusCode::OK;
    } else if response.status().is_success() || response.status().is_informational() {
        // A backend that answers something else must not look as if it had accepted.
        *response = Response::new(B::from("the upstream refused the WebSocket handshake\n"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
}

const WEBSOCKET: &str = "websocket";

#[cfg(test)]
mod tests {
    use super::*;

    fn head(uri: &str, lines: &[(&str, &str)]) -> Parts {
        let request = lines
            .iter()
            .fold(http::Request::builder().uri(uri), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_authority_becomes_the_one_host() {
        for lines in [&[][..], &[("host", "A.example:81")]] {
            let mut head = head("https://a.example:81/x?y=z", lines);
            set_host(&mut head);
            assert_eq!(head.headers.get_all(HOST).iter().collect::<Vec<_>>(), ["a.example:81"]);
            assert_eq!(head.uri, "/x?y=z");
        }
        let mut none = head("/x", &[("host", "a.example")]);
        set_host(&mut none);
        assert_eq!((&none.headers[HOST], none.uri.path()), (&HeaderValue::from_static("a.example"), "/x"));
    }

    #[test]
    fn a_host_beside_another_authority_makes_two() {
        for other in ["b.example", "a.example:80", "", "a.example."] {
            let mut head = head("https://a.example/", &[("host", other)]);
            set_host(&mut head);
            assert_eq!(head.headers.get_all(HOST).iter().count(), 2, "{other}");
        }
    }

    #[test]
    fn an_extended_connect_becomes_a_handshake() {
        let mut connect = head("https://a.example/x?y=z", &[("sec-websocket-key", "none")]);
        connect.method = Method::CONNECT;
        assert!(!asks_web_socket(&connect), "it is a tunnel");
        connect.extensions.insert(Protocol::from_static("connect-udp"));
        assert!(!asks_web_socket(&connect));
        connect.extensions.insert(Protocol::from_static("WebSocket"));
        assert!(asks_web_socket(&connect));
        let (one, other) = (key(), key());
        assert_ne!(one, other);
        ask_web_socket(&mut connect, &one);
        assert_eq!(
            (&connect.method, &connect.headers[UPGRADE]),
            (&Method::GET, &HeaderValue::from_static("websocket"))
        );
        assert_eq!(connect.headers.get_all(SEC_WEBSOCKET_KEY).iter().collect::<Vec<_>>(), [&one]);
        assert_eq!(STANDARD.decode(one.as_bytes()).unwrap().len(), 16);
    }

    #[test]
    fn only_an_answer_to_the_own_key_accepts_a_web_socket() {
        let key = key();
        let right = derive_accept_key(key.as_bytes());
        let answered = |status: u16, accept: Option<&str>| {
            let mut response = Response::builder().status(status);
            if let Some(accept) = accept {
                response = response.header(SEC_WEBSOCKET_ACCEPT, accept);
            }
            let mut response = response.body(http_body_util::Full::<Bytes>::from("theirs")).unwrap();
            finish(&mut response, &Asked::WebSocket(key.clone()));
            assert!(!response.headers().contains_key(SEC_WEBSOCKET_ACCEPT));
            response.status().as_u16()
        };
        assert_eq!(answered(101, Some(&right)), 200);
        for (status, accept, expected) in [
            (101, None, 502),
            (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), 502),
            (200, Some(&*right), 502),
            (204, None, 502),
            (301, None, 301),
            (403, None, 403),
            (503, None, 503),
        ] {
            assert_eq!(answered(status, accept), expected, "{status} {accept:?}");
        }
    }

    #[test]
    fn cookies_become_one_line_in_their_order() {
        for (lines, joined) in [
            (&[][..], None),
            (&[("cookie", "a=1")], Some("a=1")),
            (
                &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3"), ("cookie", "d=4")],
                Some("a=1; b=2; c=3; d=4"),
            ),
        ] {
            let mut head = head("/", lines);
            join_cookies(&mut head.headers);
            let found: Vec<_> = head.headers.get_all(COOKIE).iter().collect();
            assert_eq!(found, Vec::from_iter(joined));
        }
    }
}
