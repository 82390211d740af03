//! Several packets in one HTTP body: text forms joined by the record separator (protocol 4, "HTTP long-polling").

use bytes::Bytes;

use super::{decode_text, encode_text, encoded_len};
use crate::frame::Malformed;
use crate::packet::{Packet, Text};

/// The packets of one POST, read one by one, so that a hostile body of a million empty packets costs no more than its
/// own bytes.
///
/// Ends after the first [`Malformed`] packet; those before it count.
#[derive(Clone, Debug)]
pub struct Payload {
    rest: Option<Text>,
}

impl Payload {
    /// Reads a body; each ill-formed UTF-8 sequence counts as U+FFFD.
    pub fn new(body: Bytes) -> Self {
        Self { rest: Some(Text::lossy(body)) }
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let first = match memchr::memchr(SEPARATOR, rest.as_bytes()) {
            Some(at) => {
                let (first, others) = rest.split_around(at);
                // Even if it is empty: after a trailing separator the reference reads an empty packet, which is
                // malformed.
                self.rest = Some(others);
                first
            }
            None => rest,
        };
        let packet = decode_text(first);
        if packet.is_err() {
            self.rest = None;
        }
        Some(packet)
    }
}

/// Joins packets into one body.
pub fn encode_payload(packets: &[Packet]) -> Bytes {
    let len = packets.iter().map(|packet| encoded_len(packet) + 1).sum();
    let mut out = Vec::with_capacity(len);
    for (index, packet) in packets.iter().enumerate() {
        if index > 0 {
            out.push(SEPARATOR);
        }
        encode_text(packet, &mut out);
    }
    out.into()
}

const SEPARATOR: u8 = 0x1e;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::Message;

    fn decode(body: &'static [u8]) -> Vec<Result<Packet, Malformed>> {
        Payload::new(Bytes::from_static(body)).collect()
    }

    fn message(text: &str) -> Packet {
        Packet::Message(Message::text(text))
    }

    #[test]
    fn packets_are_joined_by_the_record_separator() {
        let packets = [
            message("hello"),
            Packet::Ping(Text::default()),
            Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4]))),
        ];
        let body = encode_payload(&packets);
        assert_eq!(&body[..], b"4hello\x1e2\x1ebAQIDBA==");
        let decoded: Result<Vec<Packet>, Malformed> = Payload::new(body).collect();
        assert_eq!(decoded.unwrap(), packets);
    }

    #[test]
    fn an_empty_body_and_a_trailing_separator_are_malformed() {
        assert_eq!(decode(b""), [Err(Malformed)]);
        assert_eq!(decode(b"4a\x1e"), [Ok(message("a")), Err(Malformed)]);
        assert_eq!(decode(b"\x1e4a"), [Err(Malformed)]);
    }

    #[test]
    fn packets_before_a_malformed_one_count_and_those_behind_do_not() {
        assert_eq!(decode(b"4a\x1e4b\x1ex\x1e4c"), [Ok(message("a")), Ok(message("b")), Err(Malformed)]);
    }

    #[test]
    fn ill_formed_utf8_becomes_the_replacement_character() {
        assert_eq!(decode(b"4a\xff\x1e4b"), [Ok(message("a\u{fffd}")), Ok(message("b"))]);
    }

    fn packets() -> impl Strategy<Value = Vec<Packet>> {
        let packet = prop_oneof![
            "[^\u{1e}]{0,20}".prop_map(|text| message(&text)),
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| Packet::Message(Message::Binary(bytes.into()))),
            Just(Packet::Noop),
            Just(Packet::Close(None)),
            "[a-z]{0,5}".prop_map(|text| Packet::Pong(text.as_str().into())),
        ];
        prop::collection::vec(packet, 1..10)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(packets in packets()) {
            let decoded: Result<Vec<Packet>, Malformed> = Payload::new(encode_payload(&packets)).collect();
            prop_assert_eq!(decoded.unwrap(), packets);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(body in prop::collection::vec(prop_oneof![Just(0x1e), Just(b'4'), Just(b'b'), any::<u8>()], 0..200)) {
            let decoded: Vec<_> = Payload::new(body.clone().into()).collect();
            prop_assert!(decoded.len() <= body.len() + 1);
        }
    }
}
