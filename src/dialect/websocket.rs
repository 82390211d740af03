//! Plain WebSocket (RFC 6455): each message of the client is a message of the application, and there is nothing else.
//!
//! It is read frame by frame only if a client can't be relayed: with a shared upstream, or if the route says so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{
    Act, Answered, Ask, Backend, Beginning, Dialect, Framing, Greeting, Identity, Intent, Place, Read,
    Refusal, Request, RequestKind, Subprotocol, Written,
};
use crate::end::End;
use crate::frame::{Frame, Malformed};
use crate::packet::{Closing, Message, Packet, Text, Transport};
use crate::reply::{Refused, Reply};
use crate::revision::Protocol;
use crate::session::{Acks, Binary, HangUp, Pinger, Policy, Pushes, Second};

/// The dialect `websocket` of one route.
#[derive(Debug)]
pub struct WebSocket {
    backend: Backend,
    policy: Arc<Policy>,
}

impl WebSocket {
    /// The name in the configuration.
    pub const NAME: &'static str = "websocket";

    /// Creates the dialect of a route with this backend.
    pub fn new(backend: Backend) -> Self {
        Self { backend, policy: Arc::new(POLICY) }
    }

    fn beginning(&self, query: &str) -> Beginning {
        Beginning {
            transport: Transport::WebSocket,
            framing: Arc::new(PlainFraming),
            policy: Arc::clone(&self.policy),
            identity: Identity::Ours,
            cookie: None,
            query: query.to_owned(),
            keeps_path: true,
            subprotocol: Subprotocol::Clients,
            revision: None,
            // It gets the backend's WebSocket, whatever protocol runs on it.
            pace: None,
            may_relay: self.backend.protocol != Protocol::Mux,
        }
    }
}

impl Dialect for WebSocket {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        match request.kind {
            RequestKind::WebSocket => {
                Ok(Ask::Begin(Box::new(self.beginning(request.head.uri.query().unwrap_or_default()))))
            }
            RequestKind::Http => {
                Err(reply(StatusCode::UPGRADE_REQUIRED, "this path accepts only WebSocket\n").into())
            }
        }
    }

    /// No request of such a client names a session.
    fn judge(&self, _want: Intent, _place: &Place<'_>, _request: &Request<'_>) -> Result<Act, Box<Answered>> {
        Err(PlainFraming.refuse(Refusal::Over, RequestKind::Http).into())
    }

    fn refuse_unknown(&self, _want: Intent, kind: RequestKind) -> Box<Answered> {
        PlainFraming.refuse(Refusal::Over, kind).into()
    }

    fn begin(&self, query: &str) -> Option<Beginning> {
        Some(self.beginning(query))
    }
}

/// The rules for such a session.
pub const POLICY: Policy = Policy {
    hang_up: HangUp::Ends,
    second: Second::Ends,
    acks: Acks::OnWrite,
    pushes: Pushes::One,
    pinger: Pinger::Server,
    crossing: Duration::ZERO,
    echoes: Duration::ZERO,
    piggyback: None,
    goodbye_waiting: &[],
    goodbye_late: &[],
    why: None,
    remembered: Duration::ZERO,
    binary: Binary::Crosses,
    replaced: &[],
    encoded_len: Packet::len,
};

/// Unchanged messages.
#[derive(Clone, Copy, Debug)]
pub struct PlainFraming;

impl Framing for PlainFraming {
    fn greet(&self, _greeting: &Greeting<'_>) -> Option<Packet> {
        None
    }

    fn decode_text(&self, text: Text) -> Result<Read, Malformed> {
        Ok(Read::One(Packet::Message(Message::Text(text))))
    }

    fn decode_binary(&self, bytes: Bytes) -> Result<Read, Malformed> {
        Ok(Read::One(Packet::Message(Message::Binary(bytes))))
    }

    fn decode_pong(&self) -> Option<Packet> {
        Some(Packet::Pong(Text::default()))
    }

    fn encode_frame(&self, packet: &Packet) -> Written {
        match packet {
            Packet::Message(Message::Text(text)) => Written::Frame(Frame::Text(text.as_bytes().clone())),
            Packet::Message(Message::Binary(bytes)) => Written::Frame(Frame::Binary(bytes.clone())),
            Packet::Ping(_) => Written::Ping,
            Packet::Open(_) | Packet::Close(_) | Packet::Pong(_) | Packet::Upgrade | Packet::Noop => {
                Written::Nothing
            }
        }
    }

    fn goodbye(&self, end: End, closing: &Closing) -> Closing {
        if closing.code.is_some() || end == End::UpstreamClosed {
            closing.clone()
        } else {
            end.reason(closing)
        }
    }

    fn refuse(&self, refusal: Refusal, _kind: RequestKind) -> Reply {
        match refusal {
            Refusal::Forbidden => reply(StatusCode::FORBIDDEN, "forbidden origin\n"),
            Refusal::BadWebSocket(why) => reply(StatusCode::BAD_REQUEST, why),
            // About sessions and polls, which such a client does not have.
            Refusal::Over
            | Refusal::Overlap
            | Refusal::WrongTransport
            | Refusal::Unreadable
            | Refusal::TooLarge
            | Refusal::TooSlow => reply(StatusCode::BAD_REQUEST, "bad request\n"),
        }
    }

    fn translate_refusal(&self, refused: Refused, _kind: RequestKind) -> Reply {
        refused.reply
    }
}

fn reply(status: StatusCode, text: &'static str) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    match status {
        StatusCode::UPGRADE_REQUIRED => headers.insert(UPGRADE, HeaderValue::from_static("websocket")),
        StatusCode::BAD_REQUEST => headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        _ => None,
    };
    Reply { status, headers, body: Bytes::from_static(text.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_and_pings_are_written() {
        let written = |packet| PlainFraming.encode_frame(&packet);
        let text = Packet::Message(Message::text("4a"));
        assert_eq!(written(text), Written::Frame(Frame::Text(Bytes::from_static(b"4a"))));
        assert_eq!(written(Packet::Ping(Text::default())), Written::Ping);
        assert_eq!(written(Packet::Noop), Written::Nothing);
    }

    #[test]
    fn the_backends_goodbye_crosses_and_our_own_says_why() {
        let theirs = Closing::new(4001, "enough");
        assert_eq!(PlainFraming.goodbye(End::UpstreamClosed, &theirs), theirs);
        assert_eq!(PlainFraming.goodbye(End::UpstreamClosed, &Closing::default()), Closing::default());
        assert_eq!(PlainFraming.goodbye(End::PingTimeout, &Closing::default()), End::PingTimeout.closing());
    }
}
