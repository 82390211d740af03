//! Any text at all, written and read.

use bytes::Bytes;
use serde_json::Value;

use super::elements::{Elements, Unreadable};
use super::frames::{self, Wrapping};
use super::json::{self, Place};
use super::query::form_field;
use crate::packet::{Message, Packet, Text};

/// Panics if a text is not read as it was written, or an array not as JSON.
pub(crate) fn check_text(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let text = Text::lossy(body.clone());
    for place in [Place::Frame, Place::Event, Place::Html] {
        let mut quoted = Vec::new();
        json::quote(text.as_bytes(), place, &mut quoted);
        assert!(place != Place::Html || !quoted.contains(&b'<'), "nothing ends the script");
        let quoted = String::from_utf8(quoted).expect("text stays text");
        let quoted = if place == Place::Event { quoted.replace("%25", "%") } else { quoted };
        assert_eq!(serde_json::from_str::<String>(&quoted).ok().as_deref(), Some(text.as_str()), "{place:?}");
    }
    let message = Packet::Message(Message::Text(text.clone()));
    let (one, binary) =
        (frames::frame(&message).expect("a frame"), Packet::Message(Message::Binary(body.clone())));
    assert_eq!(one.len(), frames::encoded_len(&message) + "a[]".len());
    assert_eq!(frames::frame(&binary), Some(one.clone()), "SockJS has text alone");
    for wrapping in [Wrapping::Lines, Wrapping::Events, Wrapping::Scripts] {
        let lines = wrapping.encode(&[message.clone(), Packet::Ping(Text::default()), binary.clone()]);
        assert!(std::str::from_utf8(&lines).is_ok());
    }
    // As a client sends it back.
    let array = one.slice(1..);
    assert_eq!(all(Elements::of_body(array)), Ok(vec![Message::Text(text.clone())]));
    let read = all(Elements::of_body(body.clone()));
    if let Ok(Value::Array(elements)) = serde_json::from_slice::<Value>(text.as_bytes())
        && let Some(strings) = elements.iter().map(Value::as_str).collect::<Option<Vec<_>>>()
    {
        assert_eq!(read, Ok(strings.into_iter().map(Message::text).collect()));
    }
    if let Ok(messages) = read {
        assert_eq!(all(Elements::of_frame(text)), Ok(messages));
    }
    // A byte that is no text becomes a character of three.
    assert!(form_field(&body).len() <= 3 * bytes.len());
}

fn all(elements: Result<Elements, Unreadable>) -> Result<Vec<Message>, Unreadable> {
    elements.map(Iterator::collect)
}
