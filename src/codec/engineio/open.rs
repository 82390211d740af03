//! The open packet: what a server tells a client about its new session ("Handshake").

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::packet::Text;

/// The open packet's JSON. Durations are milliseconds on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenPacket {
    /// The session id, unchanged.
    pub sid: String,
    /// Whether the client may move to a WebSocket.
    pub upgrades: bool,
    /// From a pong to the next ping.
    pub ping_interval: Duration,
    /// From a ping until its pong is overdue.
    pub ping_timeout: Duration,
    /// The largest payload that the server accepts, in bytes; servers of protocol 3 do not announce it.
    pub max_payload: Option<usize>,
}

impl OpenPacket {
    /// Returns the JSON, with its fields in the reference's order.
    pub fn encode(&self) -> Text {
        let upgrades = if self.upgrades { r#"["websocket"]"# } else { "[]" };
        let mut text = format!(
            r#"{{"sid":{},"upgrades":{upgrades},"pingInterval":{},"pingTimeout":{}"#,
            json!(self.sid),
            self.ping_interval.as_millis(),
            self.ping_timeout.as_millis(),
        );
        if let Some(max_payload) = self.max_payload {
            // Writing to a String can't fail.
            let _ = write!(text, r#","maxPayload":{max_payload}"#);
        }
        text.push('}');
        Text::from(text)
    }

    /// Reads a server's JSON, ignoring unknown fields.
    ///
    /// Returns `None` if the session id or the heartbeat is missing or out of bounds.
    pub fn decode(text: &Text) -> Option<Self> {
        let json: Value = serde_json::from_slice(text.as_bytes()).ok()?;
        let millis =
            |key: &str| json.get(key)?.as_u64().filter(|ms| *ms <= MILLIS_MAX).map(Duration::from_millis);
        Some(Self {
            sid: json.get("sid")?.as_str()?.to_owned(),
            upgrades: json
                .get("upgrades")
                .and_then(Value::as_array)
                .is_some_and(|all| all.iter().any(|name| name == "websocket")),
            ping_interval: millis("pingInterval")?,
            ping_timeout: millis("pingTimeout")?,
            max_payload: json
                .get("maxPayload")
                .and_then(Value::as_u64)
                .and_then(|bytes| usize::try_from(bytes).ok()),
        })
    }
}

/// A heartbeat slower than a week is a mistake, and would overflow clocks.
const MILLIS_MAX: u64 = 7 * 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> OpenPacket {
        OpenPacket {
            sid: "lv_VI97HAXpY6yYWAAAC".into(),
            upgrades: true,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: Some(1_000_000),
        }
    }

    #[test]
    fn the_open_packet_is_written_as_the_reference_writes_it() {
        let text = r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        assert_eq!(packet().encode().as_str(), text);
        assert_eq!(OpenPacket::decode(&text.into()), Some(packet()));
        let bare = OpenPacket { upgrades: false, max_payload: None, ..packet() };
        assert_eq!(
            bare.encode().as_str(),
            r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#
        );
        assert_eq!(OpenPacket::decode(&bare.encode()), Some(bare));
    }

    #[test]
    fn an_open_packet_without_sid_or_heartbeat_is_none() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"sid":1,"pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":-1,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":1e300,"pingTimeout":1}"#,
            r#"{"sid":"a"}"#,
        ] {
            assert_eq!(OpenPacket::decode(&text.into()), None, "{text}");
        }
    }
}
