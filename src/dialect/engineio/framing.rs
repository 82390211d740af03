//! How one client's packets are written, and what its requests are answered: its first request decides.

use bytes::Bytes;
use http::HeaderMap;

use super::speech::{EngineIoFraming, number};
use super::{body, reply};
use crate::codec::engineio::{OpenPacket, decode_text, encode_frame, encode_text, encoded_len, v3};
use crate::dialect::{Framing, Greeting, PollBody, PushForm, Refusal, Road, Written};
use crate::frame::{Frame, Malformed};
use crate::packet::{Message, Packet, Text};
use crate::reply::{Refused, Reply};
use crate::revision::Revision;
use crate::session::Packets;

impl Framing for EngineIoFraming {
    fn version(&self) -> u8 {
        number(self.revision)
    }

    fn greet(&self, greeting: &Greeting<'_>) -> Option<Packet> {
        // Servers of protocol 3 had no word for it.
        let says = greeting.announced || self.revision == Revision::V4;
        let open = OpenPacket {
            sid: greeting.sid.to_owned(),
            upgrades: greeting.upgrades,
            ping_interval: greeting.pace.interval,
            ping_timeout: greeting.pace.timeout,
            max_payload: says.then_some(greeting.max_payload),
        };
        Some(Packet::Open(open.encode()))
    }

    fn read_push(&self, headers: &HeaderMap) -> Option<PushForm> {
        body::form(*self, headers)
    }

    fn decode_push(&self, form: PushForm, body: Bytes) -> Packets {
        body::decode(*self, form, body)
    }

    fn encode_taken(&self) -> PollBody {
        // Not text/plain, for which some browsers would offer a download.
        PollBody { content_type: "text/html", bytes: Bytes::from_static(b"ok") }
    }

    fn encode_poll(&self, batch: &[Packet]) -> PollBody {
        body::encode(*self, batch)
    }

    fn decode_text(&self, text: Text) -> Result<Packet, Malformed> {
        match self.revision {
            Revision::V3 => v3::decode_text(&text),
            Revision::V4 => decode_text(&text),
        }
    }

    fn decode_binary(&self, bytes: Bytes) -> Result<Packet, Malformed> {
        match self.revision {
            Revision::V3 => v3::decode_binary(&bytes),
            Revision::V4 => Ok(Packet::Message(Message::Binary(bytes))),
        }
    }

    fn encode_frame(&self, packet: &Packet) -> Written {
        let frame = match (self.binary, self.revision) {
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

    fn refuse(&self, refusal: Refusal, road: Road) -> Reply {
        reply::refuse(refusal, road)
    }

    fn translate_refusal(&self, refused: Refused, road: Road) -> Reply {
        reply::translate_refusal(refused, road)
    }
}
