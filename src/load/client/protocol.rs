//! How packets are written and read: Engine.IO 4 or 3, or no Engine.IO at all.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::{Message as WsMessage, Utf8Bytes};

use crate::close;
use crate::codec::engineio::{self, OpenPacket, Payload, v3};
use crate::frame::{Frame, Malformed};
use crate::load::conversation::Beat;
use crate::load::fault::Fault;
use crate::load::net::Answer;
use crate::packet::{Message, Packet, Text};

/// What is spoken on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::load) enum Protocol {
    /// Engine.IO protocol 4.
    V4,
    /// Engine.IO protocol 3.
    V3,
    /// Each message is one WebSocket message, and there is nothing else.
    Plain,
}

impl Protocol {
    /// The number in the query.
    pub(in crate::load) const fn revision(self) -> u8 {
        match self {
            Self::V4 | Self::Plain => 4,
            Self::V3 => 3,
        }
    }

    /// Who begins the heartbeat.
    pub(super) const fn beat(self) -> Option<Beat> {
        match self {
            Self::V4 => Some(Beat::Server),
            Self::V3 => Some(Beat::Client),
            Self::Plain => None,
        }
    }

    /// A POST's body.
    pub(super) fn payload(self, packets: &[Packet]) -> Bytes {
        match self {
            Self::V4 | Self::Plain => engineio::encode_payload(packets),
            Self::V3 => v3::encode_text_payload(packets, v3::Strings::Plain),
        }
    }

    /// The packets of a poll's answer.
    pub(super) fn packets(self, answer: Answer) -> Box<dyn Iterator<Item = Result<Packet, Fault>> + Send> {
        let start = shown(&answer.body);
        let judge =
            move |packet: Result<Packet, Malformed>| packet.map_err(|_| Fault::Malformed(start.clone()));
        match (self, answer.binary) {
            (Self::V4 | Self::Plain, _) => Box::new(Payload::new(answer.body).map(judge)),
            (Self::V3, true) => Box::new(v3::BinaryPayload::new(answer.body).map(judge)),
            (Self::V3, false) => Box::new(v3::TextPayload::new(answer.body, v3::Strings::Plain).map(judge)),
        }
    }

    /// A packet as a WebSocket message; a plain WebSocket has no way to write any but a message.
    pub(super) fn frame(self, packet: Packet) -> Option<WsMessage> {
        let frame = match (self, packet) {
            (Self::V4, packet) => engineio::encode_frame(&packet),
            (Self::V3, packet) => v3::encode_frame(&packet),
            (Self::Plain, Packet::Message(Message::Text(text))) => Frame::Text(text.into_bytes()),
            (Self::Plain, Packet::Message(Message::Binary(bytes))) => Frame::Binary(bytes),
            (Self::Plain, _) => return None,
        };
        Some(match frame {
            Frame::Text(bytes) => WsMessage::Text(Utf8Bytes::try_from(bytes).ok()?),
            Frame::Binary(bytes) => WsMessage::Binary(bytes),
        })
    }

    /// What a WebSocket message says; nothing, if it is about the WebSocket itself.
    pub(super) fn packet(self, frame: WsMessage) -> Result<Option<Packet>, Fault> {
        let read = match (self, frame) {
            (_, WsMessage::Close(frame)) => return Err(Fault::Closed(Some(close::from_frame(frame)))),
            (_, WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Frame(_)) => return Ok(None),
            (Self::V4, WsMessage::Text(text)) => engineio::decode_text(&checked(text)),
            (Self::V3, WsMessage::Text(text)) => v3::decode_text(&checked(text)),
            (Self::V3, WsMessage::Binary(bytes)) => v3::decode_binary(&bytes),
            (Self::V4 | Self::Plain, WsMessage::Binary(bytes)) => Ok(Packet::Message(Message::Binary(bytes))),
            (Self::Plain, WsMessage::Text(text)) => Ok(Packet::Message(Message::Text(checked(text)))),
        };
        read.map(Some).map_err(|_| Fault::Malformed("a frame".to_owned()))
    }

    /// The open packet, if this is one.
    pub(super) fn open(packet: &Packet) -> Result<OpenPacket, Fault> {
        let Packet::Open(text) = packet else {
            return Err(Fault::Malformed("the first packet is not the open packet".to_owned()));
        };
        OpenPacket::decode(text).ok_or_else(|| Fault::Malformed(shown(text.as_bytes())))
    }
}

fn checked(text: Utf8Bytes) -> Text {
    Text::from_checked(Bytes::from(text))
}

/// The beginning of what came in the place of something else.
pub(super) fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(SHOWN_MAX)];
    String::from_utf8_lossy(start).escape_debug().to_string()
}

const SHOWN_MAX: usize = 80;
