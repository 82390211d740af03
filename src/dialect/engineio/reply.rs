//! Responses without a session, byte for byte those of the reference.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, SEC_WEBSOCKET_VERSION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::dialect::{Answered, Refusal, RequestKind};
use crate::reply::{Refused, Refuser, Reply};

/// One of the protocol's errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// No such transport.
    UnknownTransport,
    /// No such session.
    UnknownSid,
    /// A session begins with GET.
    BadHandshakeMethod,
    /// The request contradicts itself, or its session.
    BadRequest,
    /// It may not begin a session here.
    Forbidden,
    /// Its revision is not accepted here.
    UnsupportedVersion,
}

impl Fault {
    /// Returns its code and its text.
    const fn words(self) -> (u8, &'static str) {
        match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSid => (1, "Session ID unknown"),
            Self::BadHandshakeMethod => (2, "Bad handshake method"),
            Self::BadRequest => (3, "Bad request"),
            Self::Forbidden => (4, "Forbidden"),
            Self::UnsupportedVersion => (5, "Unsupported protocol version"),
        }
    }

    const ALL: [Self; 6] = [
        Self::UnknownTransport,
        Self::UnknownSid,
        Self::BadHandshakeMethod,
        Self::BadRequest,
        Self::Forbidden,
        Self::UnsupportedVersion,
    ];

    /// Returns the response with this error.
    pub(super) fn reply(self, kind: RequestKind) -> Reply {
        let (code, message) = self.words();
        match kind {
            RequestKind::Http => coded(code, message),
            // Every refusal of an upgrade, even a forbidden one, is a 400 with the bare text as its body.
            RequestKind::WebSocket => Reply {
                status: StatusCode::BAD_REQUEST,
                headers: headers([(CONNECTION, "close"), (CONTENT_TYPE, "text/html")]),
                body: Bytes::from_static(message.as_bytes()),
            },
        }
    }

    /// Returns the response with this error, which ends the request.
    pub(super) fn answer(self, kind: RequestKind) -> Box<Answered> {
        self.reply(kind).into()
    }
}

/// Returns the proxy's own refusals in this protocol.
pub(super) fn refuse(refusal: Refusal, kind: RequestKind) -> Reply {
    match refusal {
        Refusal::Over => Fault::UnknownSid.reply(kind),
        Refusal::WrongTransport => Fault::BadRequest.reply(kind),
        Refusal::Forbidden => Fault::Forbidden.reply(kind),
        Refusal::Overlap | Refusal::Unreadable => empty(StatusCode::BAD_REQUEST),
        Refusal::TooLarge => empty(StatusCode::PAYLOAD_TOO_LARGE),
        Refusal::TooSlow => empty(StatusCode::REQUEST_TIMEOUT),
        Refusal::BadWebSocket(message) => bad_web_socket(message),
    }
}

/// Returns the backend's refusal for a client: unchanged for a WebSocket client. A polling client gets the JSON that the
/// backend would have sent it: asked for a WebSocket, the backend says the same in bare text.
pub(super) fn translate_refusal(refused: Refused, kind: RequestKind) -> Reply {
    let Refused { reply: Reply { status, mut headers, body }, by } = refused;
    if kind == RequestKind::WebSocket {
        // The header is hop-by-hop, so the backend's own is gone; the reference closes after every such refusal.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if kind == RequestKind::WebSocket || by == Refuser::Other || status != StatusCode::BAD_REQUEST {
        return Reply { status, headers, body };
    }
    let text = String::from_utf8_lossy(&body);
    let text = text.trim();
    let reply = match Fault::ALL.iter().find(|fault| fault.words().1 == text) {
        Some(fault) => fault.reply(RequestKind::Http),
        None if !text.is_empty() => coded(4, text),
        // Engine.IO 3 sends no text if its application forbids (Socket.IO 2: an origin).
        None if by == Refuser::EngineIo3 => Fault::Forbidden.reply(RequestKind::Http),
        // Without a text from the application, the server itself rejected the request.
        None => Fault::BadRequest.reply(RequestKind::Http),
    };
    headers.extend(reply.headers);
    Reply { headers, ..reply }
}

fn coded(code: u8, message: &str) -> Reply {
    let status = if code == 4 { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    let body = format!(r#"{{"code":{code},"message":{}}}"#, json!(message));
    Reply { status, headers: headers([(CONTENT_TYPE, "application/json")]), body: body.into() }
}

/// Returns a response with a status only.
pub(super) fn empty(status: StatusCode) -> Reply {
    Reply { status, headers: HeaderMap::new(), body: Bytes::new() }
}

fn bad_web_socket(message: &'static str) -> Reply {
    let headers =
        headers([(CONNECTION, "close"), (CONTENT_TYPE, "text/html"), (SEC_WEBSOCKET_VERSION, "13")]);
    Reply { status: StatusCode::BAD_REQUEST, headers, body: Bytes::from_static(message.as_bytes()) }
}

fn headers<const N: usize>(pairs: [(HeaderName, &'static str); N]) -> HeaderMap {
    pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_json_over_http_and_bare_text_over_an_upgrade() {
        let http = Fault::UnknownSid.reply(RequestKind::Http);
        assert_eq!(
            (http.status.as_u16(), &http.body[..]),
            (400, &br#"{"code":1,"message":"Session ID unknown"}"#[..])
        );
        assert_eq!(http.headers[CONTENT_TYPE], "application/json");
        let forbidden = refuse(Refusal::Forbidden, RequestKind::Http);
        assert_eq!(
            (forbidden.status.as_u16(), &forbidden.body[..]),
            (403, &br#"{"code":4,"message":"Forbidden"}"#[..])
        );
        let upgrade = refuse(Refusal::Forbidden, RequestKind::WebSocket);
        assert_eq!((upgrade.status.as_u16(), &upgrade.body[..]), (400, &b"Forbidden"[..]));
        assert_eq!(upgrade.headers[CONNECTION], "close");
    }

    fn refused(status: u16, body: &'static str) -> Refused {
        let headers = HeaderMap::from_iter([(http::header::SET_COOKIE, HeaderValue::from_static("a=b"))]);
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply { status, headers, body: Bytes::from_static(body.as_bytes()) };
        Refused { reply, by: Refuser::EngineIo }
    }

    #[test]
    fn a_backends_bare_text_becomes_its_json() {
        let cases = [
            (
                refused(400, "Unsupported protocol version"),
                400,
                r#"{"code":5,"message":"Unsupported protocol version"}"#,
            ),
            (refused(400, "Forbidden"), 403, r#"{"code":4,"message":"Forbidden"}"#),
            (refused(400, "you shall not pass"), 403, r#"{"code":4,"message":"you shall not pass"}"#),
            (refused(400, ""), 400, r#"{"code":3,"message":"Bad request"}"#),
            (refused(400, "\r\n"), 400, r#"{"code":3,"message":"Bad request"}"#),
            (refused(401, "who?"), 401, "who?"),
            (refused(503, ""), 503, ""),
        ];
        for (refusal, status, body) in cases {
            let reply = translate_refusal(refusal, RequestKind::Http);
            assert_eq!((reply.status.as_u16(), &reply.body[..]), (status, body.as_bytes()));
            assert_eq!(reply.headers[http::header::SET_COOKIE], "a=b");
        }
        let old =
            translate_refusal(Refused { by: Refuser::EngineIo3, ..refused(400, "") }, RequestKind::Http);
        assert_eq!((old.status.as_u16(), &old.body[..]), (403, &br#"{"code":4,"message":"Forbidden"}"#[..]));
        let plain = translate_refusal(
            Refused { by: Refuser::Other, ..refused(400, "Bad request") },
            RequestKind::Http,
        );
        assert_eq!(&plain.body[..], b"Bad request", "a plain WebSocket server's words are not Engine.IO's");
        let reply = translate_refusal(refused(400, "Forbidden"), RequestKind::WebSocket);
        assert_eq!((reply.status.as_u16(), &reply.body[..]), (400, &b"Forbidden"[..]));
        assert_eq!(reply.headers[CONNECTION], "close");
    }
}
