//! Engine.IO protocol 3, of Socket.IO 1 and 2: the same packets in another encoding.

mod binary;
mod jsonp;
mod payload;

use bytes::Bytes;

pub use binary::{BinaryPayload, encode_binary_payload};
pub use jsonp::{form_payload, wrap};
pub use payload::{Strings, TextPayload, encode_text_payload};

use super::packet as v4;
use crate::codec::base64;
use crate::frame::{Frame, Malformed};
use crate::packet::{Message, Packet, Text};

/// Reads a packet from its text form; after a `b`, base64 follows the type.
///
/// # Errors
/// The text is empty, or its first character is not a packet type.
pub fn decode_text(text: Text) -> Result<Packet, Malformed> {
    match text.as_bytes().strip_prefix(b"b") {
        Some(rest) => {
            let (kind, data) = rest.split_first().ok_or(Malformed)?;
            typed(kind.wrapping_sub(b'0'), base64::decode(data))
        }
        None => v4::decode_text(text),
    }
}

/// Reads a packet from its binary form: the type as a number, then the data.
///
/// # Errors
/// There is no byte, or the first is not a packet type.
pub fn decode_binary(bytes: &Bytes) -> Result<Packet, Malformed> {
    let kind = bytes.first().ok_or(Malformed)?;
    typed(*kind, bytes.slice(1..))
}

/// Returns a packet with binary data. Only a message's data matter.
fn typed(kind: u8, data: Bytes) -> Result<Packet, Malformed> {
    Ok(match kind {
        0 => Packet::Open(Text::lossy(data)),
        1 => Packet::Close(None),
        2 => Packet::Ping(Text::lossy(data)),
        3 => Packet::Pong(Text::lossy(data)),
        4 => Packet::Message(Message::Binary(data)),
        5 => Packet::Upgrade,
        6 => Packet::Noop,
        _ => return Err(Malformed),
    })
}

/// Appends a packet's text form; a binary message goes as `b4` and base64.
pub fn encode_text(packet: &Packet, out: &mut Vec<u8>) {
    if let Packet::Message(Message::Binary(bytes)) = packet {
        out.extend_from_slice(b"b4");
        base64::encode_into(bytes, out);
    } else {
        v4::encode_text(packet, out);
    }
}

/// Returns a packet as one WebSocket message; a binary message is preceded by its type.
pub fn encode_frame(packet: &Packet) -> Frame {
    if let Packet::Message(Message::Binary(bytes)) = packet {
        return Frame::Binary([&[MESSAGE], &bytes[..]].concat().into());
    }
    v4::encode_frame(packet)
}

/// Returns an upper bound of a packet's length in a payload, in bytes, for cutting batches.
pub fn encoded_len(packet: &Packet) -> usize {
    v4::encoded_len(packet) + LENGTH_LEN_MAX
}

/// The type of a message, as a number.
const MESSAGE: u8 = 4;
/// A length, its end mark, and a type's second byte.
const LENGTH_LEN_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(bytes: &'static [u8]) -> Packet {
        Packet::Message(Message::Binary(Bytes::from_static(bytes)))
    }

    #[test]
    fn a_binary_message_has_its_type_behind_the_b_and_before_the_bytes() {
        let mut out = Vec::new();
        encode_text(&binary(&[1, 2, 3, 4]), &mut out);
        assert_eq!(out, b"b4AQIDBA==");
        assert_eq!(decode_text("b4AQIDBA==".into()), Ok(binary(&[1, 2, 3, 4])));
        assert_eq!(encode_frame(&binary(&[1, 2])), Frame::Binary(Bytes::from_static(&[4, 1, 2])));
        assert_eq!(decode_binary(&Bytes::from_static(&[4, 1, 2])), Ok(binary(&[1, 2])));
    }

    #[test]
    fn text_that_begins_with_b_or_4_stays_text() {
        for data in ["b4AQID", "4", "b"] {
            let mut out = Vec::new();
            let packet = Packet::Message(Message::text(data));
            encode_text(&packet, &mut out);
            assert_eq!(decode_text(Text::new(out.into()).unwrap()), Ok(packet));
        }
    }

    #[test]
    fn what_is_no_packet_is_malformed() {
        for text in ["", "7", "b", "b7AQ==", "bx"] {
            assert_eq!(decode_text(text.into()), Err(Malformed), "{text}");
        }
        for bytes in [&b""[..], &[7], b"4"] {
            assert_eq!(decode_binary(&Bytes::from_static(bytes)), Err(Malformed), "{bytes:?}");
        }
    }
}
