//! Several packets in one binary body: each is preceded by whether it is text, and by its length, one byte per digit,
//! up to 255.

use bytes::Bytes;

use super::{MESSAGE, decode_binary, decode_text, encode_text};
use crate::frame::Malformed;
use crate::packet::{Message, Packet, Text};

/// The packets of a body, read one by one. Ends after the first [`Malformed`] one; those before it count.
#[derive(Clone, Debug)]
pub struct BinaryPayload {
    rest: Bytes,
    over: bool,
}

impl BinaryPayload {
    /// Reads a body.
    pub const fn new(body: Bytes) -> Self {
        Self { rest: body, over: false }
    }

    fn read(&mut self) -> Result<Packet, Malformed> {
        let form = *self.rest.first().ok_or(Malformed)?;
        let digits = self.rest[1..].iter().take(LENGTH_LEN_MAX).take_while(|&&digit| digit < 10);
        let (mut len, mut count) = (0, 0);
        for &digit in digits {
            len = len * 10 + usize::from(digit);
            count += 1;
        }
        let start = 1 + count + 1;
        if count == 0 || self.rest.get(start - 1) != Some(&END) || self.rest.len() - start < len {
            return Err(Malformed);
        }
        let packet = self.rest.slice(start..start + len);
        self.rest = self.rest.slice(start + len..);
        match form {
            TEXT => decode_text(Text::new(packet).map_err(|_| Malformed)?),
            _ => decode_binary(&packet),
        }
    }
}

impl Iterator for BinaryPayload {
    type Item = Result<Packet, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over || self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        self.over = read.is_err();
        Some(read)
    }
}

/// Joins packets into one body.
pub fn encode_binary_payload(packets: &[Packet]) -> Bytes {
    let mut out = Vec::with_capacity(packets.iter().map(super::encoded_len).sum());
    let mut one = Vec::new();
    for packet in packets {
        one.clear();
        if let Packet::Message(Message::Binary(bytes)) = packet {
            out.push(BINARY);
            one.push(MESSAGE);
            one.extend_from_slice(bytes);
        } else {
            out.push(TEXT);
            encode_text(packet, &mut one);
        }
        out.extend(one.len().to_string().bytes().map(|digit| digit - b'0'));
        out.push(END);
        out.extend_from_slice(&one);
    }
    out.into()
}

const TEXT: u8 = 0;
const BINARY: u8 = 1;
/// The end mark of a length.
const END: u8 = 255;
/// A number with more digits exceeds every body.
const LENGTH_LEN_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binary(bytes: &[u8]) -> Packet {
        Packet::Message(Message::Binary(Bytes::copy_from_slice(bytes)))
    }

    fn decode(body: &[u8]) -> Vec<Result<Packet, Malformed>> {
        BinaryPayload::new(Bytes::copy_from_slice(body)).collect()
    }

    #[test]
    fn text_and_binary_stand_side_by_side() {
        let packets = [Packet::Message(Message::text("héllo")), binary(&[1, 2, 3, 4])];
        let body = encode_binary_payload(&packets);
        assert_eq!(&body[..], b"\x00\x07\xff4h\xc3\xa9llo\x01\x05\xff\x04\x01\x02\x03\x04");
        assert_eq!(BinaryPayload::new(body).collect::<Result<Vec<_>, _>>().unwrap(), packets);
        let long = binary(&[7; 122]);
        assert_eq!(encode_binary_payload(std::slice::from_ref(&long))[..5], [1, 1, 2, 3, 255]);
    }

    #[test]
    fn hostile_lengths_are_malformed() {
        for body in [
            &b"\x00"[..],
            b"\x00\xff",
            b"\x00\x02\xff4",
            b"\x01\x09",
            b"\x01\x0a\xff",
            b"\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff4",
            b"\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff4",
            b"\x00\x00\xff",
            b"\x01\x00\xff",
            b"\x01\x01\xff\x07",
        ] {
            assert_eq!(decode(body), [Err(Malformed)], "{body:?}");
        }
        assert_eq!(decode(b"\x00\x01\xff6\x00\x09\xff4")[..], [Ok(Packet::Noop), Err(Malformed)]);
        assert_eq!(decode(b""), []);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(texts in prop::collection::vec(any::<String>(), 0..6), bytes in any::<Vec<u8>>()) {
            let mut packets: Vec<Packet> =
                texts.iter().map(|text| Packet::Message(Message::text(text.as_str()))).collect();
            packets.push(binary(&bytes));
            let decoded: Result<Vec<_>, _> = BinaryPayload::new(encode_binary_payload(&packets)).collect();
            prop_assert_eq!(decoded.unwrap(), packets);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(body in prop::collection::vec(prop_oneof![Just(255), Just(0), Just(1), any::<u8>()], 0..200)) {
            let decoded: Vec<_> = BinaryPayload::new(body.clone().into()).collect();
            prop_assert!(decoded.len() <= body.len() + 1);
        }
    }
}
