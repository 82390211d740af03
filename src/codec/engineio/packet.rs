//! One packet of Engine.IO protocol 4: a type digit and its data ("Packet encoding").

use crate::codec::base64;
use crate::frame::{Frame, Malformed};
use crate::packet::{Message, Packet, Text};

/// Reads a packet from its text form, which fills a text frame, or is one of several in a payload.
///
/// # Errors
/// The text is empty, or its first character is not a packet type.
pub fn decode_text(text: Text) -> Result<Packet, Malformed> {
    let kind = text.as_bytes().first().ok_or(Malformed)?;
    match kind {
        b'0' => Ok(Packet::Open(text.skip(1))),
        b'1' => Ok(Packet::Close(None)),
        b'2' => Ok(Packet::Ping(text.skip(1))),
        b'3' => Ok(Packet::Pong(text.skip(1))),
        b'4' => Ok(Packet::Message(Message::Text(text.skip(1)))),
        b'5' => Ok(Packet::Upgrade),
        b'6' => Ok(Packet::Noop),
        b'b' => Ok(Packet::Message(Message::Binary(base64::decode(&text.as_bytes()[1..])))),
        _ => Err(Malformed),
    }
}

/// Appends a packet's text form; binary goes as `b` and base64.
pub fn encode_text(packet: &Packet, out: &mut Vec<u8>) {
    match packet {
        Packet::Message(Message::Binary(bytes)) => {
            out.push(b'b');
            base64::encode_into(bytes, out);
        }
        Packet::Message(Message::Text(text)) => {
            out.push(b'4');
            out.extend_from_slice(text.as_bytes());
        }
        Packet::Open(text) => {
            out.push(b'0');
            out.extend_from_slice(text.as_bytes());
        }
        Packet::Ping(text) => {
            out.push(b'2');
            out.extend_from_slice(text.as_bytes());
        }
        Packet::Pong(text) => {
            out.push(b'3');
            out.extend_from_slice(text.as_bytes());
        }
        Packet::Close(_) => out.push(b'1'),
        Packet::Upgrade => out.push(b'5'),
        Packet::Noop => out.push(b'6'),
    }
}

/// Returns the length of a packet's text form, in bytes.
pub const fn encoded_len(packet: &Packet) -> usize {
    match packet {
        Packet::Message(Message::Binary(bytes)) => 1 + base64::encoded_len(bytes.len()),
        Packet::Message(Message::Text(_))
        | Packet::Open(_)
        | Packet::Ping(_)
        | Packet::Pong(_)
        | Packet::Close(_)
        | Packet::Upgrade
        | Packet::Noop => 1 + packet.len(),
    }
}

/// Returns a packet as one WebSocket message; binary is sent unchanged.
pub fn encode_frame(packet: &Packet) -> Frame {
    match packet {
        Packet::Message(Message::Binary(bytes)) => Frame::Binary(bytes.clone()),
        Packet::Message(Message::Text(_))
        | Packet::Open(_)
        | Packet::Ping(_)
        | Packet::Pong(_)
        | Packet::Close(_)
        | Packet::Upgrade
        | Packet::Noop => {
            let mut out = Vec::with_capacity(encoded_len(packet));
            encode_text(packet, &mut out);
            Frame::Text(out.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn text_of(packet: &Packet) -> String {
        let mut out = Vec::new();
        encode_text(packet, &mut out);
        assert_eq!(out.len(), encoded_len(packet));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_packet_has_the_digit_of_the_specification() {
        let vectors = [
            (Packet::Open("{}".into()), "0{}"),
            (Packet::Close(None), "1"),
            (Packet::Ping(Text::default()), "2"),
            (Packet::Ping("probe".into()), "2probe"),
            (Packet::Pong("probe".into()), "3probe"),
            (Packet::Message(Message::text("hello")), "4hello"),
            (Packet::Message(Message::text("")), "4"),
            (Packet::Message(Message::text("€🐸")), "4€🐸"),
            (Packet::Upgrade, "5"),
            (Packet::Noop, "6"),
            (Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4]))), "bAQIDBA=="),
            (Packet::Message(Message::Binary(Bytes::new())), "b"),
        ];
        for (packet, text) in vectors {
            assert_eq!(text_of(&packet), text);
            assert_eq!(decode_text(text.into()), Ok(packet));
        }
    }

    #[test]
    fn text_that_begins_with_b_or_4_stays_text() {
        for data in ["bAQID", "4", "b", "4b4"] {
            let packet = Packet::Message(Message::text(data));
            assert_eq!(decode_text(text_of(&packet).as_str().into()), Ok(packet));
        }
    }

    #[test]
    fn what_is_no_packet_is_malformed() {
        for text in ["", "7", "x", "é", "\u{1e}", " 4", "-1"] {
            assert_eq!(decode_text(text.into()), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_binary_message_is_a_frame_of_its_own_kind() {
        let bytes = Bytes::from_static(&[0, 4, 255]);
        assert_eq!(encode_frame(&Packet::Message(Message::Binary(bytes.clone()))), Frame::Binary(bytes));
        assert_eq!(encode_frame(&Packet::Noop), Frame::Text(Bytes::from_static(b"6")));
    }
}
