//! The bodies of polls and POSTs: how each client's are written was decided by its first request.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::speech::EngineIoFraming;
use crate::codec::engineio::v3::{self, Strings};
use crate::codec::engineio::{Payload, encode_payload};
use crate::dialect::{PollBody, PushForm};
use crate::packet::{Message, Packet};
use crate::revision::Revision;
use crate::session::Packets;

/// How a POST is to be read. The reference looks for exactly this type, and at no other.
pub(super) fn form(framing: EngineIoFraming, headers: &HeaderMap) -> Option<PushForm> {
    let binary = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == BINARY.as_bytes());
    match (binary, framing.revision) {
        (false, _) => Some(PushForm::Text),
        (true, Revision::V3) => Some(PushForm::Binary),
        // Protocol 4 knows no binary body.
        (true, Revision::V4) => None,
    }
}

pub(super) fn decode(framing: EngineIoFraming, form: PushForm, body: Bytes) -> Packets {
    let body = match framing.jsonp {
        None => body,
        Some(_) => match v3::form_payload(&body) {
            Some(payload) => payload,
            // The reference overlooks a form without the field.
            None => return Box::new(std::iter::empty()),
        },
    };
    match (framing.revision, form) {
        (Revision::V4, _) => Box::new(Payload::new(body)),
        (Revision::V3, PushForm::Binary) if framing.jsonp.is_none() => Box::new(v3::BinaryPayload::new(body)),
        (Revision::V3, _) => Box::new(v3::TextPayload::new(body, strings(framing))),
    }
}

pub(super) fn encode(framing: EngineIoFraming, batch: &[Packet]) -> PollBody {
    let is_binary = |packet: &Packet| matches!(packet, Packet::Message(Message::Binary(_)));
    let bytes = match framing.revision {
        Revision::V4 => encode_payload(batch),
        Revision::V3 if framing.binary && batch.iter().any(is_binary) => {
            return PollBody { content_type: BINARY, bytes: v3::encode_binary_payload(batch) };
        }
        Revision::V3 => v3::encode_text_payload(batch, strings(framing)),
    };
    let bytes = framing.jsonp.map_or_else(|| bytes.clone(), |jsonp| v3::wrap(jsonp.as_str(), &bytes));
    PollBody { content_type: TEXT, bytes }
}

const fn strings(framing: EngineIoFraming) -> Strings {
    if framing.doubled { Strings::Doubled } else { Strings::Plain }
}

const TEXT: &str = "text/plain; charset=UTF-8";
const BINARY: &str = "application/octet-stream";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::dialect::engineio::speech::Jsonp;

    const V3: EngineIoFraming = EngineIoFraming::new(Revision::V3);
    const V4: EngineIoFraming = EngineIoFraming::new(Revision::V4);

    fn batch() -> Vec<Packet> {
        vec![
            Packet::Message(Message::text("é")),
            Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4]))),
        ]
    }

    fn encoded(framing: EngineIoFraming, batch: &[Packet]) -> (&'static str, Bytes) {
        let PollBody { content_type, bytes } = encode(framing, batch);
        (content_type, bytes)
    }

    #[test]
    fn a_batch_is_written_as_the_handshake_decided() {
        let base64 = EngineIoFraming { binary: false, ..V3 };
        let jsonp = EngineIoFraming { jsonp: Some(Jsonp::new("0")), ..base64 };
        let text = |text: &'static str| (TEXT, Bytes::from_static(text.as_bytes()));
        let binary = Bytes::from_static(b"\x00\x03\xff4\xc3\xa9\x01\x05\xff\x04\x01\x02\x03\x04");
        assert_eq!(encoded(V4, &batch()), text("4é\u{1e}bAQIDBA=="));
        assert_eq!(encoded(V3, &batch()), (BINARY, binary));
        assert_eq!(encoded(V3, &batch()[..1]), text("2:4é"));
        assert_eq!(encoded(base64, &batch()), text("2:4é10:b4AQIDBA=="));
        assert_eq!(encoded(jsonp, &batch()), text("___eio[0](\"2:4é10:b4AQIDBA==\");"));
        let doubled = EngineIoFraming { doubled: true, ..V3 };
        assert_eq!(encoded(doubled, &batch()[..1]), text("3:4\u{c3}\u{a9}"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = |framing, form, body: Bytes| -> Vec<Packet> {
            decode(framing, form, body).map(|packet| packet.unwrap_or(Packet::Noop)).collect()
        };
        for framing in [
            V4,
            V3,
            EngineIoFraming { binary: false, ..V3 },
            EngineIoFraming { binary: false, doubled: true, ..V3 },
        ] {
            let PollBody { content_type, bytes } = encode(framing, &batch());
            let form = if content_type == BINARY { PushForm::Binary } else { PushForm::Text };
            assert_eq!(all(framing, form, bytes), batch(), "{framing:?}");
        }
        let jsonp =
            |revision| EngineIoFraming { jsonp: Some(Jsonp::new("0")), ..EngineIoFraming::new(revision) };
        let three = all(jsonp(Revision::V3), PushForm::Text, Bytes::from_static(b"d=2%3A4%C3%A9"));
        let four = all(jsonp(Revision::V4), PushForm::Text, Bytes::from_static(b"d=4%C3%A9"));
        assert_eq!((&three[..], &four[..]), (&batch()[..1], &batch()[..1]));
        assert!(all(jsonp(Revision::V3), PushForm::Text, Bytes::from_static(b"e=1")).is_empty());
    }

    #[test]
    fn only_exactly_one_type_is_binary_and_only_in_protocol_3() {
        let form = |framing, kind: Option<&'static str>| {
            let pairs = kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)));
            form(framing, &pairs.into_iter().collect())
        };
        assert_eq!(form(V3, Some(BINARY)), Some(PushForm::Binary));
        assert_eq!(form(V4, Some(BINARY)), None);
        for kind in [None, Some("text/plain"), Some("application/octet-stream; charset=UTF-8")] {
            assert_eq!(form(V3, kind), Some(PushForm::Text), "{kind:?}");
            assert_eq!(form(V4, kind), Some(PushForm::Text), "{kind:?}");
        }
    }
}
