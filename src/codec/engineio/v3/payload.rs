//! Several packets in one text body: each is preceded by its length in UTF-16 code units.

use bytes::Bytes;

use super::{decode_text, encode_text};
use crate::frame::Malformed;
use crate::packet::{Packet, Text};

/// How characters are encoded in a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strings {
    /// As UTF-8.
    Plain,
    /// Each byte of the UTF-8 as a character of its own, as by clients of Socket.IO 1.
    EncodedTwice,
}

/// The packets of a body, read one by one. Ends after the first [`Malformed`] one; those before it count.
#[derive(Clone, Debug)]
pub struct TextPayload {
    body: Bytes,
    strings: Strings,
    at: usize,
    over: bool,
}

impl TextPayload {
    /// Reads a body; each ill-formed UTF-8 sequence counts as U+FFFD.
    pub fn new(body: Bytes, strings: Strings) -> Self {
        Self { body: Text::lossy(body).into_bytes(), strings, at: 0, over: false }
    }

    fn read(&mut self) -> Option<Result<Packet, Malformed>> {
        loop {
            let rest = &self.body[self.at..];
            // An empty body is not a payload; after at least one packet, the end of the body ends it.
            if rest.is_empty() && self.at > 0 {
                return None;
            }
            let Some(colon) = memchr::memchr(b':', &rest[..rest.len().min(LENGTH_LEN_MAX + 1)]) else {
                return Some(Err(Malformed));
            };
            let Some(len) = units(&rest[..colon]).and_then(|units| bytes_of(&rest[colon + 1..], units))
            else {
                return Some(Err(Malformed));
            };
            let start = self.at + colon + 1;
            self.at = start + len;
            // The reference skips these.
            if len > 0 {
                // Cut between characters, as lengths count characters.
                let text = Text::from_checked(self.body.slice(start..self.at));
                return Some(match self.strings {
                    Strings::Plain => decode_text(text),
                    Strings::EncodedTwice => halve(&text).and_then(decode_text),
                });
            }
        }
    }
}

impl Iterator for TextPayload {
    type Item = Result<Packet, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read();
        self.over = !matches!(read, Some(Ok(_)));
        read
    }
}

/// Joins packets into one body.
pub fn encode_text_payload(packets: &[Packet], strings: Strings) -> Bytes {
    let mut out = Vec::with_capacity(packets.iter().map(super::encoded_len).sum());
    let mut one = Vec::new();
    for packet in packets {
        one.clear();
        encode_text(packet, &mut one);
        if strings == Strings::EncodedTwice {
            one = one.iter().copied().map(char::from).collect::<String>().into_bytes();
        }
        // Of what was encoded twice, the characters of the result count, as in the reference.
        out.extend_from_slice(units_in(&one).to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(&one);
    }
    out.into()
}

/// Returns the text whose bytes are the characters of another.
fn halve(text: &Text) -> Result<Text, Malformed> {
    let bytes: Result<Vec<u8>, _> = text.as_str().chars().map(u8::try_from).collect();
    let bytes = bytes.map_err(|_| Malformed)?;
    Text::new(bytes.into()).map_err(|_| Malformed)
}

/// Reads a length.
fn units(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Returns how many UTF-16 code units a run of UTF-8 has: one per character, two for those beyond the basic plane.
fn units_in(utf8: &[u8]) -> usize {
    utf8.iter().map(|&byte| usize::from(!is_continuation(byte)) + usize::from(byte >= FOUR_BYTES)).sum()
}

/// Returns how many bytes contain `units` code units; `None` if there are fewer, or they end inside a character.
fn bytes_of(utf8: &[u8], units: usize) -> Option<usize> {
    // Each takes at least one byte.
    if units > utf8.len() {
        return None;
    }
    let mut left = units;
    let mut at = 0;
    while left > 0 {
        let &byte = utf8.get(at)?;
        left = left.checked_sub(if byte >= FOUR_BYTES { 2 } else { 1 })?;
        at += 1;
        while utf8.get(at).is_some_and(|&byte| is_continuation(byte)) {
            at += 1;
        }
    }
    Some(at)
}

const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The first byte of a character with two code units.
const FOUR_BYTES: u8 = 0xf0;
/// A number with more digits exceeds every body.
const LENGTH_LEN_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::Message;

    fn message(text: &str) -> Packet {
        Packet::Message(Message::text(text))
    }

    fn decode(body: &str) -> Vec<Result<Packet, Malformed>> {
        TextPayload::new(Bytes::copy_from_slice(body.as_bytes()), Strings::Plain).collect()
    }

    #[test]
    fn lengths_count_utf16_code_units() {
        let packets = [message("hello"), message("é"), message("🐸"), message(""), Packet::Noop];
        let body = encode_text_payload(&packets, Strings::Plain);
        assert_eq!(std::str::from_utf8(&body).unwrap(), "6:4hello2:4é3:4🐸1:41:6");
        assert_eq!(TextPayload::new(body, Strings::Plain).collect::<Result<Vec<_>, _>>().unwrap(), packets);
    }

    #[test]
    fn a_binary_packet_inside_text_is_base64() {
        let packet = Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4])));
        let body = encode_text_payload(std::slice::from_ref(&packet), Strings::Plain);
        assert_eq!(&body[..], b"10:b4AQIDBA==");
        assert_eq!(decode("10:b4AQIDBA=="), [Ok(packet)]);
    }

    #[test]
    fn clients_of_socketio_1_encode_twice_and_count_that() {
        let body = encode_text_payload(&[message("é"), message("🐸")], Strings::EncodedTwice);
        assert_eq!(std::str::from_utf8(&body).unwrap(), "3:4\u{c3}\u{a9}5:4\u{f0}\u{9f}\u{90}\u{b8}");
        let decode = |body: &str| -> Vec<_> {
            TextPayload::new(Bytes::copy_from_slice(body.as_bytes()), Strings::EncodedTwice).collect()
        };
        assert_eq!(decode("3:4\u{c3}\u{a9}"), [Ok(message("é"))]);
        assert_eq!(decode("2:4\u{c3}"), [Err(Malformed)], "half a character");
        assert_eq!(decode("3:4🐸"), [Err(Malformed)], "no byte");
    }

    #[test]
    fn hostile_lengths_are_malformed() {
        for body in [
            "",
            ":",
            "4a",
            "x:4a",
            "-1:4a",
            "+2:4a",
            " 2:4a",
            "2.0:4a",
            "3:4a",
            "99999999999999999999:4a",
            "9999999999:4a",
            "2:4🐸",
            "2",
            "2:",
        ] {
            assert_eq!(decode(body), [Err(Malformed)], "{body}");
        }
        assert_eq!(decode("2:4a9:4b"), [Ok(message("a")), Err(Malformed)], "what came before counts");
        assert_eq!(decode("2:4a2:7b2:4c"), [Ok(message("a")), Err(Malformed)], "what comes behind does not");
    }

    #[test]
    fn an_empty_packet_is_skipped() {
        assert_eq!(decode("0:2:4a0:"), [Ok(message("a"))]);
        assert_eq!(decode("0:"), []);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(texts in prop::collection::vec(any::<String>(), 1..8), bytes in any::<Vec<u8>>()) {
            let mut packets: Vec<Packet> = texts.iter().map(|text| message(text)).collect();
            packets.push(Packet::Message(Message::Binary(bytes.into())));
            for strings in [Strings::Plain, Strings::EncodedTwice] {
                let decoded: Result<Vec<_>, _> = TextPayload::new(encode_text_payload(&packets, strings), strings).collect();
                prop_assert_eq!(decoded.unwrap(), packets.clone());
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(body in prop::collection::vec(prop_oneof![Just(b':'), Just(b'4'), Just(b'1'), any::<u8>()], 0..200)) {
            for strings in [Strings::Plain, Strings::EncodedTwice] {
                let decoded: Vec<_> = TextPayload::new(body.clone().into(), strings).collect();
                prop_assert!(decoded.len() <= body.len() + 1);
            }
        }
    }
}
