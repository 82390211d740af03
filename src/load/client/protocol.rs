//! The protocols, and their messages on a WebSocket.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::{Message as WsMessage, Utf8Bytes};

use super::engineio::EngineIo;
use super::longpoll::LongPoll;
use super::requests::Requests;
use super::sockjs::{self, SockJs};
use crate::close;
use crate::codec::engineio::{self, v3};
use crate::frame::{Frame, Malformed};
use crate::load::conversation::Beat;
use crate::load::fault::Fault;
use crate::load::mix::Kind;
use crate::packet::{Message, Packet, Text};
use crate::revision::Revision;

/// The protocol on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::load) enum Protocol {
    /// Engine.IO.
    EngineIo(Revision),
    /// Each message is one WebSocket message, without framing.
    Plain,
    /// SockJS.
    SockJs,
    /// Dialect longpoll.
    LongPoll,
}

impl Protocol {
    /// Returns the HTTP requests of a session of this kind.
    ///
    /// # Errors
    /// The system gives no randomness for an id.
    pub(super) fn requests(self, kind: Kind) -> Result<Box<dyn Requests>, Fault> {
        let streams = kind == Kind::Streaming;
        Ok(match self {
            Self::EngineIo(revision) => Box::new(EngineIo::new(revision)),
            Self::SockJs => Box::new(SockJs::new(streams)?),
            // A plain WebSocket never gets here; the options rule it out.
            Self::LongPoll | Self::Plain => Box::new(LongPoll::new(streams)),
        })
    }

    /// Returns who begins the heartbeat.
    pub(super) const fn beat(self) -> Option<Beat> {
        match self {
            Self::EngineIo(Revision::V4) => Some(Beat::Server),
            Self::EngineIo(Revision::V3) => Some(Beat::Client),
            Self::Plain | Self::SockJs | Self::LongPoll => None,
        }
    }

    /// Returns a packet as a WebSocket message. Outside Engine.IO only messages can be written.
    pub(super) fn frame(self, packet: Packet) -> Option<WsMessage> {
        let frame = match (self, packet) {
            (Self::EngineIo(Revision::V4), packet) => engineio::encode_frame(&packet),
            (Self::EngineIo(Revision::V3), packet) => v3::encode_frame(&packet),
            (Self::SockJs, packet @ Packet::Message(_)) => Frame::Text(sockjs::write_messages(&[packet])),
            (_, Packet::Message(Message::Text(text))) => Frame::Text(text.into_bytes()),
            (_, Packet::Message(Message::Binary(bytes))) => Frame::Binary(bytes),
            (_, _) => return None,
        };
        Some(match frame {
            Frame::Text(bytes) => WsMessage::Text(Utf8Bytes::try_from(bytes).ok()?),
            Frame::Binary(bytes) => WsMessage::Binary(bytes),
        })
    }

    /// Returns the packets in a WebSocket message; none in a control frame.
    pub(super) fn read(self, frame: WsMessage) -> Result<impl Iterator<Item = Packet>, Fault> {
        let mut many = Vec::new();
        let one = match (self, frame) {
            (_, WsMessage::Close(frame)) => return Err(Fault::Closed(Some(close::from_frame(frame)))),
            (_, WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Frame(_)) => None,
            (Self::EngineIo(Revision::V4), WsMessage::Text(text)) => {
                Some(engineio::decode_text(checked(text)).map_err(malformed)?)
            }
            (Self::EngineIo(Revision::V3), WsMessage::Text(text)) => {
                Some(v3::decode_text(checked(text)).map_err(malformed)?)
            }
            (Self::EngineIo(Revision::V3), WsMessage::Binary(bytes)) => {
                Some(v3::decode_binary(&bytes).map_err(malformed)?)
            }
            (Self::SockJs, WsMessage::Text(text)) => {
                many = sockjs::read_frame(text.as_bytes())?;
                None
            }
            (_, WsMessage::Binary(bytes)) => Some(Packet::Message(Message::Binary(bytes))),
            (_, WsMessage::Text(text)) => Some(Packet::Message(Message::Text(checked(text)))),
        };
        Ok(one.into_iter().chain(many))
    }
}

fn malformed(_: Malformed) -> Fault {
    Fault::Malformed("a frame".to_owned())
}

fn checked(text: Utf8Bytes) -> Text {
    Text::from_checked(Bytes::from(text))
}
