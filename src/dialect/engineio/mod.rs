//! Engine.IO protocol 4 as its clients speak it: Socket.IO 3 and 4 among them.

mod head;
mod query;
mod reply;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::{Dialect, Greeting, Known, Op, PollBody, Reject, Reply, Road, Written};
use crate::carrier::{Carrier, Protocol};
use crate::codec::engineio::{
    Frame, Malformed, OpenPacket, Payload, decode_text, encode_frame, encode_payload, encode_text,
    encoded_len,
};
use crate::packet::{Message, Packet, Text};
use crate::session::{HangUp, Packets, Policy};
use crate::upstream::Refused;

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

    fn policy(&self) -> Policy {
        Policy {
            hang_up: HangUp::Ends,
            goodbye_waiting: &[Packet::Close],
            goodbye_late: &[Packet::Noop, Packet::Close],
            encoded_len,
        }
    }

    fn read_head(&self, head: &Parts, find: &mut dyn FnMut(&str) -> Option<Known>) -> Result<Op, Reject> {
        head::read(head, find)
    }

    fn application_query(&self, query: &str) -> String {
        query::application_query(query)
    }

    fn greet(&self, greeting: &Greeting<'_>) -> Option<Packet> {
        let open = OpenPacket {
            sid: greeting.sid.to_owned(),
            upgrades: greeting.upgrades,
            ping_interval: greeting.pace.interval,
            ping_timeout: greeting.pace.timeout,
            max_payload: Some(greeting.max_payload),
        };
        Some(Packet::Open(open.encode()))
    }

    fn takes_push(&self, headers: &HeaderMap) -> bool {
        // Protocol 4 knows no binary body; the reference looks at exactly this value, and at no other.
        headers.get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes() != b"application/octet-stream")
    }

    fn decode_push(&self, _carrier: Carrier, body: Bytes) -> Packets {
        Box::new(Payload::new(body))
    }

    fn encode_poll(&self, _carrier: Carrier, batch: &[Packet]) -> PollBody {
        PollBody { content_type: "text/plain; charset=UTF-8", bytes: encode_payload(batch) }
    }

    fn decode_text(&self, _carrier: Carrier, text: Text) -> Result<Packet, Malformed> {
        decode_text(&text)
    }

    fn decode_binary(&self, _carrier: Carrier, bytes: Bytes) -> Result<Packet, Malformed> {
        Ok(Packet::Message(Message::Binary(bytes)))
    }

    fn encode_frame(&self, carrier: Carrier, packet: &Packet) -> Written {
        if carrier.binary {
            return Written::Frame(encode_frame(packet));
        }
        let mut out = Vec::with_capacity(encoded_len(packet));
        encode_text(packet, &mut out);
        Written::Frame(Frame::Text(out.into()))
    }

    fn reply(&self, reject: &Reject, road: Road) -> Reply {
        reply::reply(reject, road)
    }

    fn translate_refusal(&self, refused: Refused, road: Road) -> Reply {
        reply::translate_refusal(refused, road)
    }
}
