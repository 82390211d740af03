//! The Engine.IO 4 packets that a client meets on a WebSocket: one packet for each frame.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

use crate::packet::{Message, Text};
use crate::sid::Sid;
use crate::upstream::Heartbeat;

/// What a text frame from the backend says.
#[derive(Debug)]
pub(super) enum Packet {
    Close,
    /// With whatever followed the type.
    Ping(Text),
    Message(Message),
    /// Pong, noop and upgrade say nothing to a client that has but one transport.
    Ignored,
}

/// Reads a text frame; `None` where it is no packet that a backend may send.
pub(super) fn decode(text: &Text) -> Option<Packet> {
    match text.as_bytes().first()? {
        b'1' => Some(Packet::Close),
        b'2' => Some(Packet::Ping(text.skip(1))),
        b'3' | b'5' | b'6' => Some(Packet::Ignored),
        b'4' => Some(Packet::Message(Message::Text(text.skip(1)))),
        b'b' => {
            let bytes = BASE64.decode(&text.as_bytes()[1..]).ok()?;
            Some(Packet::Message(Message::Binary(bytes.into())))
        }
        _ => None,
    }
}

/// The frame of a text message.
pub(super) fn encode_message(text: &Text) -> Bytes {
    encode(b'4', text)
}

/// The frame that answers a ping.
pub(super) fn encode_pong(text: &Text) -> Bytes {
    if text.is_empty() { PONG } else { encode(b'3', text) }
}

/// A pong without anything in it.
pub(super) const PONG: Bytes = Bytes::from_static(b"3");

/// What the open packet says.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) sid: Option<Sid>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) max_payload: Option<usize>,
}

/// Reads the first frame of a session; the error is for the operator and says nothing of the content.
pub(super) fn decode_open(text: &Text) -> Result<Open, &'static str> {
    let Some(json) = text.as_str().strip_prefix('0') else {
        return Err("its first packet is not an open packet");
    };
    let Ok(Value::Object(fields)) = serde_json::from_str(json) else {
        return Err("its open packet is not a JSON object");
    };
    let Some(sid) = fields.get("sid").and_then(Value::as_str) else {
        return Err("its open packet has no sid");
    };
    let millis = |name| -> Result<Option<Duration>, &'static str> {
        match fields.get(name).map(Value::as_u64) {
            None => Ok(None),
            Some(Some(millis)) if millis <= MILLIS_MAX => Ok(Some(Duration::from_millis(millis))),
            Some(_) => Err("its open packet has a heartbeat that is no number of milliseconds"),
        }
    };
    let heartbeat = match (millis("pingInterval")?, millis("pingTimeout")?) {
        (Some(interval), Some(timeout)) => Some(Heartbeat { interval, timeout }),
        (None, _) | (_, None) => None,
    };
    // A server without a limit writes null.
    let max_payload =
        fields.get("maxPayload").and_then(Value::as_u64).and_then(|max| usize::try_from(max).ok());
    // A sid of foreign characters harms nobody: a client never meets it in this version of the protocol.
    Ok(Open { sid: Sid::parse(sid), heartbeat, max_payload })
}

fn encode(kind: u8, text: &Text) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + text.len());
    frame.put_u8(kind);
    frame.put_slice(text.as_bytes());
    frame.freeze()
}

/// The longest timer that JavaScript has is 2^31 ms; twice that is more than any backend can mean.
const MILLIS_MAX: u64 = u32::MAX as u64;

/// As lenient as the reference decoder: padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &'static str) -> Result<Open, &'static str> {
        decode_open(&Text::from_static(text))
    }

    #[test]
    fn an_open_packet_is_read_whole() {
        let text =
            r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        let open = open(text).unwrap();
        assert_eq!(open.sid, Sid::parse("abc"));
        let heartbeat = open.heartbeat.unwrap();
        assert_eq!((heartbeat.interval.as_secs(), heartbeat.timeout.as_secs()), (25, 20));
        assert_eq!(open.max_payload, Some(1_000_000));
    }

    #[test]
    fn what_an_open_packet_may_leave_out_is_absent() {
        let open = open(r#"0{"sid":"a b","maxPayload":null}"#).unwrap();
        assert_eq!((open.sid, open.heartbeat, open.max_payload), (None, None, None));
    }

    #[test]
    fn nonsense_instead_of_an_open_packet_is_named() {
        for text in ["", "0", "4hello", "0[]", "0{", "0{}", r#"0{"sid":7}"#, "{}"] {
            open(text).unwrap_err();
        }
        for value in ["-1", "1.5", "\"25\"", "18446744073709551615", "null"] {
            let text = Text::from(format!(r#"0{{"sid":"a","pingInterval":{value},"pingTimeout":1}}"#));
            decode_open(&text).unwrap_err();
        }
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for text in ["bAQID", "bAQIDBA==", "bAQIDBA", "b"] {
            assert!(
                matches!(decode(&Text::from_static(text)), Some(Packet::Message(Message::Binary(_)))),
                "{text}"
            );
        }
        assert!(decode(&Text::from_static("b!")).is_none());
    }

    #[test]
    fn what_no_backend_may_send_is_no_packet() {
        for text in ["", "0{}", "7", "x", "é"] {
            assert!(decode(&Text::from_static(text)).is_none(), "{text}");
        }
    }
}
