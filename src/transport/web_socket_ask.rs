//! A request for a WebSocket: checks its handshake, responds to it, and returns the stream behind it.
//!
//! It is read once from the headers of HTTP/1.1 (RFC 6455, section 4.2), whose form a handshake over HTTP/2 is given
//! too; no other code reads them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Body, ClientUpgrade, Response};
use crate::duplex::{Agreed, Deflate, Duplex};
use crate::hop;
use crate::spelling::Spelling;

/// A request that asks for a WebSocket.
pub struct WebSocketAsk {
    /// Its key, or what is wrong with the handshake.
    key: Result<HeaderValue, &'static str>,
    /// What of its offers to compress messages can be kept.
    deflate: Option<Agreed>,
    upgrade: Upgrading,
}

/// A handshake that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The 101.
    pub response: Response,
    /// What follows it.
    pub upgrading: Upgrading,
    /// How messages are compressed, if they are.
    pub deflate: Option<Deflate>,
}

/// A connection that is about to be upgraded to a bare stream.
#[derive(Debug)]
pub enum Upgrading {
    /// It can't be: the request says otherwise.
    Never,
    /// The client's own.
    Client(ClientUpgrade),
    /// What leads to the client by way of another node.
    Peer(PeerUpgrade),
}

/// The end of a request of another node at which its stream arrives once it was accepted.
#[derive(Clone, Debug)]
pub struct PeerUpgrade(Arc<Mutex<Option<oneshot::Receiver<Duplex>>>>);

impl PeerUpgrade {
    /// Creates the end for a stream that will be sent to it.
    pub fn new(stream: oneshot::Receiver<Duplex>) -> Self {
        Self(Arc::new(Mutex::new(Some(stream))))
    }

    fn take(&self) -> Option<oneshot::Receiver<Duplex>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl WebSocketAsk {
    /// Takes the WebSocket handshake out of a request's head; returns `None` if the request asks for no WebSocket.
    pub fn take(head: &mut Parts) -> Option<Self> {
        if !is_asked_for(&head.headers) {
            return None;
        }
        let upgrade = match ClientUpgrade::take(head) {
            Some(upgrade) => Upgrading::Client(upgrade),
            None => head.extensions.remove::<PeerUpgrade>().map_or(Upgrading::Never, Upgrading::Peer),
        };
        let deflate = Agreed::to_offer(&head.headers);
        Some(Self { key: key(&head.method, &head.headers).cloned(), deflate, upgrade })
    }

    /// Checks the handshake against RFC 6455, section 4.2.1.
    ///
    /// # Errors
    /// Returns a text that says whether the request's method, version or key is invalid.
    pub fn check(&self) -> Result<(), &'static str> {
        self.key.as_ref().map(drop).map_err(|why| *why)
    }

    /// Accepts the handshake with one of the subprotocols that it offers (section 4.2.2), and compresses messages from
    /// the threshold on if the client offers it.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn accept(
        self,
        protocol: Option<HeaderValue>,
        threshold: Option<usize>,
    ) -> Result<Accepted, &'static str> {
        let key = self.key?;
        let mut response = switching(&Spelling::default());
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let deflate = threshold.zip(self.deflate).map(|(threshold, agreed)| Deflate { threshold, agreed });
        if let Some(deflate) = deflate {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate.agreed.response());
        }
        Ok(Accepted { response, upgrading: self.upgrade, deflate })
    }

    /// Returns what the request asks for, for another node to decide.
    pub fn into_upgrading(self) -> Upgrading {
        self.upgrade
    }

    /// Accepts the handshake with the headers of a backend, which has seen the client's own handshake.
    pub fn accept_as(self, headers: HeaderMap, spelling: &Spelling) -> (Response, Upgrading) {
        let mut response = switching(spelling);
        *response.headers_mut() = headers;
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        (response, self.upgrade)
    }
}

impl Upgrading {
    /// Waits until the connection is a bare stream; returns it with the bytes already read from it.
    pub async fn stream(self) -> Option<(Duplex, Bytes)> {
        let upgrade = match self {
            Self::Never => return None,
            Self::Client(upgrade) => upgrade,
            Self::Peer(upgrade) => {
                let stream = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade.take()?).await.ok()?.ok()?;
                return Some((stream, Bytes::new()));
            }
        };
        tokio::time::timeout(UPGRADE_TIMEOUT, upgrade.stream()).await.ok()?.ok()
    }
}

impl fmt::Debug for WebSocketAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebSocketAsk")
    }
}

/// Returns the subprotocol that the reference server selects: the first one offered.
pub fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offer = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    HeaderValue::from_str(offer.split(',').next()?.trim()).ok().filter(|first| !first.is_empty())
}

/// Returns whether the headers ask for a WebSocket (RFC 6455, section 4.1).
fn is_asked_for(headers: &HeaderMap) -> bool {
    hop::names(headers, &UPGRADE, "websocket") && hop::names(headers, &CONNECTION, "upgrade")
}

fn key<'h>(method: &Method, headers: &'h HeaderMap) -> Result<&'h HeaderValue, &'static str> {
    if method != Method::GET {
        return Err("Invalid HTTP method");
    }
    // A repeated header is as invalid as none: it is unknown which line the other end would read (RFC 6455, section
    // 11.3).
    let only = |name| {
        let mut lines = headers.get_all(name).iter();
        lines.next().filter(|_| lines.next().is_none())
    };
    if !only(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13" || version == "8") {
        return Err("Missing or invalid Sec-WebSocket-Version header");
    }
    let is_nonce = |key: &&HeaderValue| {
        key.len() == 24 && STANDARD.decode(key.as_bytes()).map(|nonce| nonce.len()) == Ok(16)
    };
    only(SEC_WEBSOCKET_KEY).filter(is_nonce).ok_or("Missing or invalid Sec-WebSocket-Key header")
}

fn switching(spelling: &Spelling) -> Response {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    spelling.apply(response.extensions_mut());
    response
}

/// The time from a 101 until hyper hands over the connection, which takes a flush at most.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn ask(version: &str, key: &str) -> WebSocketAsk {
        let mut head = head(&[
            ("Upgrade", "h2c, WebSocket"),
            ("Connection", "keep-alive, Upgrade"),
            ("Sec-WebSocket-Version", version),
            ("Sec-WebSocket-Key", key),
        ]);
        WebSocketAsk::take(&mut head).unwrap()
    }

    #[test]
    fn the_handshake_of_the_specification_is_answered() {
        let offers = head(&[("Sec-WebSocket-Protocol", "chat, superchat")]);
        let ask = ask("13", "dGhlIHNhbXBsZSBub25jZQ==");
        let Accepted { response, .. } = ask.accept(first_protocol(&offers.headers), None).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "chat");
    }

    #[test]
    fn a_handshake_without_a_sound_key_or_version_is_refused() {
        for (version, key) in [
            ("12", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("13", ""),
            ("13", "dGhlIHNhbXBsZSBub25jZQ"),
            ("13", "AAAA"),
            ("13", "????????????????????????"),
        ] {
            assert!(ask(version, key).check().is_err(), "{version} {key}");
            assert!(ask(version, key).accept(None, None).is_err(), "{version} {key}");
        }
    }

    #[test]
    fn a_request_asks_with_both_headers_in_whatever_case_and_place() {
        for headers in [
            &[("Upgrade", "websocket")][..],
            &[("Connection", "upgrade")],
            &[("Upgrade", "h2c"), ("Connection", "upgrade")],
            &[("Upgrade", "websocket"), ("Connection", "close")],
        ] {
            assert!(WebSocketAsk::take(&mut head(headers)).is_none(), "{headers:?}");
        }
        for headers in [
            &[("Upgrade", "WEBSOCKET"), ("Connection", "Upgrade")][..],
            &[
                ("Upgrade", "h2c"),
                ("Upgrade", "websocket"),
                ("Connection", "close"),
                ("Connection", "x,upgrade"),
            ],
        ] {
            assert!(WebSocketAsk::take(&mut head(headers)).is_some(), "{headers:?}");
        }
    }
}
