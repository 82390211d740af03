//! Plain WebSocket (RFC 6455): a message of the client's is a message of the application, and there is nothing else.
//!
//! It is spoken frame by frame only where a client can't be left to its backend: behind a shared upstream, or where the route
//! says so.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Accepts, Dialect, Greeting, Known, Op, Reject, Road, Written};
use crate::end::End;
use crate::frame::{Frame, Malformed};
use crate::framing::{Framing, Protocol, Revision};
use crate::packet::{Closing, Message, Packet, Text, Transport};
use crate::reply::{Refused, Reply};
use crate::session::{HangUp, Pinger, Policy};

/// The dialect `websocket`.
#[derive(Clone, Copy, Debug)]
pub struct WebSocket;

impl Dialect for WebSocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn protocol(&self) -> Protocol {
        Protocol::WebSocket
    }

    fn policy(&self, _carrier: Framing, _socket_io: bool) -> Policy {
        Policy {
            hang_up: HangUp::Ends,
            pinger: Pinger::Server,
            crossing: Duration::ZERO,
            companion: None,
            goodbye_waiting: &[],
            goodbye_late: &[],
            encoded_len: Packet::len,
        }
    }

    fn read_head(
        &self,
        _head: &Parts,
        road: Road,
        _accepts: Accepts,
        _find: &mut dyn FnMut(&str) -> Option<Known>,
    ) -> Result<Op, Reject> {
        match road {
            Road::WebSocket => Ok(Op::Handshake(Transport::WebSocket, Framing::new(Revision::V4))),
            Road::Http => Err(Reject::NoWebSocket),
        }
    }

    fn application_query(&self, query: &str) -> String {
        query.to_owned()
    }

    fn greet(&self, _carrier: Framing, _greeting: &Greeting<'_>) -> Option<Packet> {
        None
    }

    fn decode_text(&self, _carrier: Framing, text: Text) -> Result<Packet, Malformed> {
        Ok(Packet::Message(Message::Text(text)))
    }

    fn decode_binary(&self, _carrier: Framing, bytes: Bytes) -> Result<Packet, Malformed> {
        Ok(Packet::Message(Message::Binary(bytes)))
    }

    fn decode_pong(&self) -> Option<Packet> {
        Some(Packet::Pong(Text::default()))
    }

    fn encode_frame(&self, _carrier: Framing, packet: &Packet) -> Written {
        match packet {
            Packet::Message(Message::Text(text)) => Written::Frame(Frame::Text(text.as_bytes().clone())),
            Packet::Message(Message::Binary(bytes)) => Written::Frame(Frame::Binary(bytes.clone())),
            Packet::Ping(_) => Written::Ping,
            Packet::Open(_) | Packet::Close | Packet::Pong(_) | Packet::Upgrade | Packet::Noop => {
                Written::Nothing
            }
        }
    }

    fn goodbye(&self, end: End, closing: &Closing) -> Closing {
        if closing.code.is_some() || end == End::UpstreamClosed { closing.clone() } else { end.closing() }
    }

    fn reply(&self, reject: &Reject, _road: Road) -> Reply {
        let (status, text) = match reject {
            Reject::NoWebSocket => (StatusCode::UPGRADE_REQUIRED, "this path speaks WebSocket\n"),
            Reject::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden origin\n"),
            Reject::BadWebSocket(why) => (StatusCode::BAD_REQUEST, *why),
            // About sids and polls, of which such a client has none.
            Reject::UnknownTransport
            | Reject::UnknownSid
            | Reject::BadHandshakeMethod
            | Reject::BadRequest
            | Reject::UnsupportedVersion
            | Reject::BadMethod
            | Reject::Empty
            | Reject::TooLarge => (StatusCode::BAD_REQUEST, "bad request\n"),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        match status {
            StatusCode::UPGRADE_REQUIRED => headers.insert(UPGRADE, HeaderValue::from_static("websocket")),
            StatusCode::BAD_REQUEST => headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            _ => None,
        };
        Reply { status, headers, body: Bytes::from_static(text.as_bytes()) }
    }

    fn translate_refusal(&self, refused: Refused, _road: Road) -> Reply {
        refused.reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_and_pings_are_written() {
        let framing = Framing::new(Revision::V4);
        let written = |packet| WebSocket.encode_frame(framing, &packet);
        let text = Packet::Message(Message::text("4a"));
        assert_eq!(written(text), Written::Frame(Frame::Text(Bytes::from_static(b"4a"))));
        assert_eq!(written(Packet::Ping(Text::default())), Written::Ping);
        assert_eq!(written(Packet::Noop), Written::Nothing);
    }

    #[test]
    fn the_backends_goodbye_crosses_and_our_own_says_why() {
        let theirs = Closing::new(4001, "enough");
        assert_eq!(WebSocket.goodbye(End::UpstreamClosed, &theirs), theirs);
        assert_eq!(WebSocket.goodbye(End::UpstreamClosed, &Closing::default()), Closing::default());
        assert_eq!(WebSocket.goodbye(End::PingTimeout, &Closing::default()), End::PingTimeout.closing());
    }
}
