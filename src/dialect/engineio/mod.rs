//! Engine.IO as its clients speak it: protocol 4 (Socket.IO 3 and 4), and protocol 3 (Socket.IO 1 and 2).

mod body;
mod head;
mod query;
mod reply;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;

use super::{Accepts, Dialect, Greeting, Known, Op, PollBody, PushForm, Reject, Road, Written};
use crate::codec::engineio::{OpenPacket, decode_text, encode_frame, encode_text, encoded_len, v3};
use crate::frame::{Frame, Malformed};
use crate::framing::{Framing, Protocol, Revision};
use crate::packet::{Message, Packet, Text};
use crate::reply::{Refused, Reply};
use crate::session::{Companion, HangUp, Packets, Pinger, Policy};

/// The dialect `engine.io`.
#[derive(Clone, Copy, Debug)]
pub struct EngineIo;

impl Dialect for EngineIo {
    fn name(&self) -> &'static str {
        "engine.io"
    }

    fn protocol(&self) -> Protocol {
        Protocol::EngineIo
    }

    fn policy(&self, framing: Framing, socket_io: bool) -> Policy {
        let v4 = Policy {
            hang_up: HangUp::Ends,
            pinger: Pinger::Server,
            crossing: CROSSING,
            companion: None,
            goodbye_waiting: &[Packet::Close],
            goodbye_late: &[Packet::Noop, Packet::Close],
            encoded_len,
        };
        match framing.revision {
            Revision::V4 => v4,
            Revision::V3 => Policy {
                pinger: Pinger::Client,
                companion: socket_io.then_some(CONNECTED),
                encoded_len: v3::encoded_len,
                ..v4
            },
        }
    }

    fn read_head(
        &self,
        head: &Parts,
        road: Road,
        accepts: Accepts,
        find: &mut dyn FnMut(&str) -> Option<Known>,
    ) -> Result<Op, Reject> {
        head::read(head, road, accepts, find)
    }

    fn application_query(&self, query: &str) -> String {
        query::application_query(query)
    }

    fn greet(&self, framing: Framing, greeting: &Greeting<'_>) -> Option<Packet> {
        // Servers of protocol 3 had no word for it.
        let says = greeting.announced || framing.revision == Revision::V4;
        let open = OpenPacket {
            sid: greeting.sid.to_owned(),
            upgrades: greeting.upgrades,
            ping_interval: greeting.pace.interval,
            ping_timeout: greeting.pace.timeout,
            max_payload: says.then_some(greeting.max_payload),
        };
        Some(Packet::Open(open.encode()))
    }

    fn read_push(&self, framing: Framing, headers: &HeaderMap) -> Option<PushForm> {
        body::form(framing, headers)
    }

    fn decode_push(&self, framing: Framing, form: PushForm, body: Bytes) -> Packets {
        body::decode(framing, form, body)
    }

    fn encode_poll(&self, framing: Framing, batch: &[Packet]) -> PollBody {
        body::encode(framing, batch)
    }

    fn decode_text(&self, framing: Framing, text: Text) -> Result<Packet, Malformed> {
        match framing.revision {
            Revision::V3 => v3::decode_text(&text),
            Revision::V4 => decode_text(&text),
        }
    }

    fn decode_binary(&self, framing: Framing, bytes: Bytes) -> Result<Packet, Malformed> {
        match framing.revision {
            Revision::V3 => v3::decode_binary(&bytes),
            Revision::V4 => Ok(Packet::Message(Message::Binary(bytes))),
        }
    }

    fn encode_frame(&self, framing: Framing, packet: &Packet) -> Written {
        let frame = match (framing.binary, framing.revision) {
            (true, Revision::V3) => v3::encode_frame(packet),
            (true, Revision::V4) => encode_frame(packet),
            (false, revision) => {
                let mut out = Vec::with_capacity(encoded_len(packet) + 1);
                match revision {
                    Revision::V3 => v3::encode_text(packet, &mut out),
                    Revision::V4 => encode_text(packet, &mut out),
                }
                Frame::Text(out.into())
            }
        };
        Written::Frame(frame)
    }

    fn reply(&self, reject: &Reject, road: Road) -> Reply {
        reply::reply(reject, road)
    }

    fn translate_refusal(&self, refused: Refused, road: Road) -> Reply {
        reply::translate_refusal(refused, road)
    }
}

/// A poll that its client has sent is taken sooner; and a goodbye without one is in no hurry.
const CROSSING: Duration = Duration::from_millis(4);
/// A server of Socket.IO 2 connects its client to the root in the handshake's answer (`initialPacket` in its source). The
/// patience is more than such a backend needs on a busy machine, and less than the round trip that it saves.
const CONNECTED: Companion = Companion {
    is_it: |packet| matches!(packet, Packet::Message(Message::Text(text)) if text.as_bytes().as_ref() == b"0"),
    patience: Duration::from_millis(50),
};
