//! How the packets of one client are written and its requests answered, as decided by its first request.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::reply;
use crate::codec::engineio::v3::{self, Strings};
use crate::codec::engineio::{
    OpenPacket, Payload, decode_text, encode_frame, encode_payload, encode_text, encoded_len,
};
use crate::dialect::{Framing, Greeting, PollBody, PushForm, Read, Refusal, RequestKind, Written};
use crate::frame::{Frame, Malformed};
use crate::packet::{Message, Packet, Text};
use crate::reply::{Refused, Reply};
use crate::revision::Revision;
use crate::session::Packets;

/// How packets are written for one client, as decided by its first request, for the life of its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EngineIoFraming {
    /// The client's revision of Engine.IO.
    pub(super) revision: Revision,
    /// Whether a WebSocket frame may be binary and, in revision 3, a poll's response; a client that can't read binary
    /// has asked for base64 (`b64`).
    pub(super) binary: bool,
    /// The function that poll responses call, if the client polls by script tags (JSONP).
    pub(super) jsonp: Option<Jsonp>,
    /// Whether text in polls is encoded in UTF-8 twice, as clients of Socket.IO 1 do.
    pub(super) utf8_twice: bool,
}

impl EngineIoFraming {
    /// Creates the framing of a client that supports everything in its revision.
    pub(super) const fn new(revision: Revision) -> Self {
        Self { revision, binary: true, jsonp: None, utf8_twice: false }
    }
}

impl Framing for EngineIoFraming {
    fn version(&self) -> u8 {
        number(self.revision)
    }

    fn greet(&self, greeting: &Greeting<'_>) -> Option<Packet> {
        // Servers of protocol 3 did not announce it.
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
        form(*self, headers)
    }

    fn mends_text(&self) -> bool {
        true
    }

    fn decode_push(&self, form: PushForm, body: Bytes) -> Result<Packets, Box<Reply>> {
        Ok(decode(*self, form, body))
    }

    fn encode_taken(&self) -> PollBody {
        // Not text/plain, for which some browsers would offer a download.
        PollBody { status: StatusCode::OK, content_type: HTML, bytes: Bytes::from_static(b"ok") }
    }

    fn encode_poll(&self, batch: &[Packet]) -> PollBody {
        encode(*self, batch)
    }

    fn growth(&self) -> u8 {
        match (self.jsonp, self.utf8_twice) {
            (Some(_), _) => ESCAPED,
            (None, true) => TWICE,
            (None, false) => 1,
        }
    }

    fn add_headers(&self, legacy_ie: bool, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, NO_STORE);
        if legacy_ie {
            headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("0"));
        }
    }

    fn decode_text(&self, text: Text) -> Result<Read, Malformed> {
        let packet = match self.revision {
            Revision::V3 => v3::decode_text(text),
            Revision::V4 => decode_text(text),
        };
        packet.map(Read::One)
    }

    fn decode_binary(&self, bytes: Bytes) -> Result<Read, Malformed> {
        let packet = match self.revision {
            Revision::V3 => v3::decode_binary(&bytes),
            Revision::V4 => Ok(Packet::Message(Message::Binary(bytes))),
        };
        packet.map(Read::One)
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

    fn refuse(&self, refusal: Refusal, kind: RequestKind) -> Reply {
        reply::refuse(refusal, kind)
    }

    fn translate_refusal(&self, refused: Refused, kind: RequestKind) -> Reply {
        reply::translate_refusal(refused, kind)
    }
}

/// Returns how a POST is read. The reference checks for exactly this type.
fn form(framing: EngineIoFraming, headers: &HeaderMap) -> Option<PushForm> {
    let binary = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == BINARY);
    match (binary, framing.revision) {
        (false, _) => Some(PushForm::Text),
        (true, Revision::V3) => Some(PushForm::Binary),
        // Protocol 4 has no binary body.
        (true, Revision::V4) => None,
    }
}

fn decode(framing: EngineIoFraming, form: PushForm, body: Bytes) -> Packets {
    let body = match framing.jsonp {
        None => body,
        Some(_) => match v3::form_payload(&body) {
            Some(payload) => payload,
            // The reference ignores a form without the field.
            None => return Box::new(std::iter::empty()),
        },
    };
    match (framing.revision, form) {
        (Revision::V4, _) => Box::new(Payload::new(body)),
        (Revision::V3, PushForm::Binary) if framing.jsonp.is_none() => Box::new(v3::BinaryPayload::new(body)),
        (Revision::V3, _) => Box::new(v3::TextPayload::new(body, strings(framing))),
    }
}

fn encode(framing: EngineIoFraming, batch: &[Packet]) -> PollBody {
    let is_binary = |packet: &Packet| matches!(packet, Packet::Message(Message::Binary(_)));
    let bytes = match framing.revision {
        Revision::V4 => encode_payload(batch),
        Revision::V3 if framing.binary && batch.iter().any(is_binary) => {
            return PollBody {
                content_type: BINARY,
                bytes: v3::encode_binary_payload(batch),
                ..PollBody::default()
            };
        }
        Revision::V3 => v3::encode_text_payload(batch, strings(framing)),
    };
    let bytes = framing.jsonp.map_or_else(|| bytes.clone(), |jsonp| v3::wrap(jsonp.as_str(), &bytes));
    PollBody { bytes, ..PollBody::default() }
}

const fn strings(framing: EngineIoFraming) -> Strings {
    if framing.utf8_twice { Strings::EncodedTwice } else { Strings::Plain }
}

/// A control character in a string of a script.
const ESCAPED: u8 = 6;
/// A byte of UTF-8 that is encoded as a character of its own.
const TWICE: u8 = 2;
const HTML: HeaderValue = HeaderValue::from_static("text/html");
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Returns a revision's number, as in `EIO`.
pub(super) const fn number(revision: Revision) -> u8 {
    match revision {
        Revision::V3 => 3,
        Revision::V4 => 4,
    }
}

/// The number of a client's function for polls by script tags: the `j` of its handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Jsonp {
    digits: [u8; Self::LEN_MAX],
    len: u8,
}

impl Jsonp {
    /// No page has more functions than such a number can count.
    const LEN_MAX: usize = 10;

    /// Takes the digits of what the client wrote, possibly none.
    pub(super) fn new(written: &str) -> Self {
        let mut jsonp = Self { digits: [0; Self::LEN_MAX], len: 0 };
        for (place, digit) in jsonp.digits.iter_mut().zip(written.bytes().filter(u8::is_ascii_digit)) {
            *place = digit;
            jsonp.len += 1;
        }
        jsonp
    }

    /// Returns the number, as the client wrote it.
    pub(super) fn as_str(&self) -> &str {
        let digits = self.digits.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

const X_XSS_PROTECTION: HeaderName = HeaderName::from_static("x-xss-protection");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const V3: EngineIoFraming = EngineIoFraming::new(Revision::V3);
    const V4: EngineIoFraming = EngineIoFraming::new(Revision::V4);

    fn batch() -> Vec<Packet> {
        vec![
            Packet::Message(Message::text("é")),
            Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4]))),
        ]
    }

    fn encoded(framing: EngineIoFraming, batch: &[Packet]) -> (HeaderValue, Bytes) {
        let PollBody { content_type, bytes, .. } = encode(framing, batch);
        (content_type, bytes)
    }

    #[test]
    fn no_framing_makes_more_of_a_packet_than_it_says() {
        let jsonp = EngineIoFraming { jsonp: Some(Jsonp::new("0")), ..V3 };
        let twice = EngineIoFraming { utf8_twice: true, ..V3 };
        for framing in [V3, V4, jsonp, twice, EngineIoFraming { utf8_twice: true, ..jsonp }] {
            for text in ["\0", "\"", "\\", "a", "é", "\u{2028}", "😀"] {
                let packet = Packet::Message(Message::text(text.repeat(1000)));
                let most = usize::from(framing.growth()) * v3::encoded_len(&packet) + 100;
                let (_, bytes) = encoded(framing, &[packet]);
                assert!(bytes.len() <= most, "{text:?}: {} of {most} in {framing:?}", bytes.len());
            }
        }
    }

    #[test]
    fn a_batch_is_written_as_the_handshake_decided() {
        let base64 = EngineIoFraming { binary: false, ..V3 };
        let jsonp = EngineIoFraming { jsonp: Some(Jsonp::new("0")), ..base64 };
        let text =
            |text: &'static str| (PollBody::default().content_type, Bytes::from_static(text.as_bytes()));
        let binary = Bytes::from_static(b"\x00\x03\xff4\xc3\xa9\x01\x05\xff\x04\x01\x02\x03\x04");
        assert_eq!(encoded(V4, &batch()), text("4é\u{1e}bAQIDBA=="));
        assert_eq!(encoded(V3, &batch()), (BINARY, binary));
        assert_eq!(encoded(V3, &batch()[..1]), text("2:4é"));
        assert_eq!(encoded(base64, &batch()), text("2:4é10:b4AQIDBA=="));
        assert_eq!(encoded(jsonp, &batch()), text("___eio[0](\"2:4é10:b4AQIDBA==\");"));
        let utf8_twice = EngineIoFraming { utf8_twice: true, ..V3 };
        assert_eq!(encoded(utf8_twice, &batch()[..1]), text("3:4\u{c3}\u{a9}"));
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
            EngineIoFraming { binary: false, utf8_twice: true, ..V3 },
        ] {
            let PollBody { content_type, bytes, .. } = encode(framing, &batch());
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
        assert_eq!(form(V3, Some("application/octet-stream")), Some(PushForm::Binary));
        assert_eq!(form(V4, Some("application/octet-stream")), None);
        for kind in [None, Some("text/plain"), Some("application/octet-stream; charset=UTF-8")] {
            assert_eq!(form(V3, kind), Some(PushForm::Text), "{kind:?}");
            assert_eq!(form(V4, kind), Some(PushForm::Text), "{kind:?}");
        }
    }

    #[test]
    fn a_function_has_the_digits_that_the_client_wrote() {
        for (written, digits) in [("0", "0"), ("007", "007"), ("a1b2", "12"), ("x", ""), ("1é2", "12")] {
            assert_eq!(Jsonp::new(written).as_str(), digits, "{written}");
        }
        assert_eq!(Jsonp::new("12345678901234").as_str(), "1234567890");
    }
}
