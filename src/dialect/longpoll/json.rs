//! Messages as JSON: the objects of a response, of a line, and of a session's end.

use serde_json::json;

use crate::codec::base64;
use crate::packet::{Closing, Message, Packet};

/// Returns the messages of a batch with their numbers; `after` is the last one's.
pub(super) fn numbered(batch: &[Packet], after: u64) -> impl Iterator<Item = (u64, &Message)> {
    let messages = || {
        batch.iter().filter_map(|packet| match packet {
            Packet::Message(message) => Some(message),
            Packet::Open(_)
            | Packet::Close(_)
            | Packet::Ping(_)
            | Packet::Pong(_)
            | Packet::Upgrade
            | Packet::Noop => None,
        })
    };
    let first = after - messages().count() as u64 + 1;
    (first..).zip(messages())
}

/// Appends a complete response body.
pub(super) fn write_answer(batch: &[Packet], after: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!(r#"{{"after":{after},"messages":["#).as_bytes());
    for (place, (number, message)) in numbered(batch, after).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_message(number, message, out);
    }
    out.extend_from_slice(b"]}");
}

/// Appends a line for each message, and one for the end of the session.
pub(super) fn write_lines(batch: &[Packet], after: u64, out: &mut Vec<u8>) {
    for (number, message) in numbered(batch, after) {
        write_message(number, message, out);
        out.push(b'\n');
    }
    for packet in batch {
        if let Packet::Close(why) = packet {
            out.extend_from_slice(closed(why.as_deref().unwrap_or(&Closing::default()), after).as_bytes());
            out.push(b'\n');
        }
    }
}

/// Appends one message with its number.
pub(super) fn write_message(number: u64, message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Text(text) => {
            out.extend_from_slice(format!(r#"{{"id":{number},"text":"#).as_bytes());
            write_string(text.as_str(), out);
            out.push(b'}');
        }
        Message::Binary(bytes) => {
            out.extend_from_slice(format!(r#"{{"id":{number},"base64":""#).as_bytes());
            base64::encode_into(bytes, out);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Appends a JSON string.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing to memory can't fail, and neither can writing a string.
    let _ = serde_json::to_writer(out, text);
}

/// Returns how many bytes a packet takes in a response, with room for the largest possible number.
pub(super) fn encoded_len(packet: &Packet) -> usize {
    match packet {
        Packet::Message(Message::Text(text)) => OBJECT + escaped_len(text.as_bytes()),
        Packet::Message(Message::Binary(bytes)) => OBJECT + base64::encoded_len(bytes.len()),
        Packet::Open(_)
        | Packet::Close(_)
        | Packet::Ping(_)
        | Packet::Pong(_)
        | Packet::Upgrade
        | Packet::Noop => 0,
    }
}

/// Returns the length of a text between its quotes.
fn escaped_len(text: &[u8]) -> usize {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.iter().map(escaped).sum()
}

/// Returns the end of a session, as the value of `closed` and as an event's data.
pub(super) fn closing(closing: &Closing) -> String {
    let reason = json!(closing.reason.as_str());
    format!(r#"{{"code":{},"reason":{reason}}}"#, closing.code.unwrap_or(NO_CODE))
}

/// Returns the response body for a session that has ended.
pub(super) fn closed(ending: &Closing, after: u64) -> String {
    format!(r#"{{"closed":{},"after":{after}}}"#, closing(ending))
}

/// `{"id":1234567890,"base64":""}`.
const OBJECT: usize = 29;
/// The code that stands for a close without a code (RFC 6455, section 7.4.1).
const NO_CODE: u16 = 1005;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn text(text: &str) -> Packet {
        Packet::Message(Message::text(text))
    }

    fn binary(bytes: &[u8]) -> Packet {
        Packet::Message(Message::Binary(Bytes::copy_from_slice(bytes)))
    }

    fn answer(batch: &[Packet], after: u64) -> String {
        let mut out = Vec::new();
        write_answer(batch, after, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_says_each_messages_number_and_the_last_one() {
        assert_eq!(answer(&[], 0), r#"{"after":0,"messages":[]}"#);
        assert_eq!(
            answer(&[text("a\"\n\r\u{1}é\u{2028}"), binary(&[1, 2, 3, 4]), text("")], 9),
            "{\"after\":9,\"messages\":[{\"id\":7,\"text\":\"a\\\"\\n\\r\\u0001é\u{2028}\"},\
             {\"id\":8,\"base64\":\"AQIDBA==\"},{\"id\":9,\"text\":\"\"}]}"
        );
        assert_eq!(answer(&[Packet::Noop], 3), r#"{"after":3,"messages":[]}"#);
    }

    #[test]
    fn an_end_has_a_code_and_a_reason() {
        assert_eq!(
            closed(&Closing::new(4001, "\"enough\""), 7),
            r#"{"closed":{"code":4001,"reason":"\"enough\""},"after":7}"#
        );
        assert_eq!(closed(&Closing::default(), 0), r#"{"closed":{"code":1005,"reason":""},"after":0}"#);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_and_as_long_as_was_said(
            messages in prop::collection::vec(prop_oneof![
                any::<String>().prop_map(|text| Packet::Message(Message::text(text))),
                prop::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| binary(&bytes)),
            ], 0..8),
            before in 0_u64..1_000_000_000,
        ) {
            let after = before + messages.len() as u64;
            let written = answer(&messages, after);
            let read: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(&read["after"], &json!(after));
            let read = read["messages"].as_array().unwrap();
            prop_assert_eq!(read.len(), messages.len());
            for (index, (read, packet)) in read.iter().zip(&messages).enumerate() {
                prop_assert_eq!(&read["id"], &json!(before + 1 + index as u64));
                let Packet::Message(message) = packet else { unreachable!("only messages") };
                match message {
                    Message::Text(text) => prop_assert_eq!(&read["text"], text.as_str()),
                    Message::Binary(bytes) => {
                        prop_assert_eq!(base64::decode(read["base64"].as_str().unwrap().as_bytes()), bytes);
                    }
                }
            }
            let said: usize = messages.iter().map(encoded_len).sum();
            prop_assert!(written.len() <= said + 44, "{} > {said}", written.len());
            // Fewer digits than there might be, and `text` is shorter than `base64`.
            prop_assert!(written.len() + messages.len() * 12 + 44 >= said);
        }
    }
}
