//! Messages as the events of an `EventSource` (HTML, "Server-sent events").

use super::json;
use crate::codec::base64;
use crate::packet::{Closing, Message, Packet};

/// The beginning of each stream: it makes the client reconnect at once after the end, and so acknowledge a stream that
/// has used up its budget.
pub(super) const PRELUDE: &str = "retry: 0\n\n";

/// Appends a batch as events; `after` is the number of its last message.
pub(super) fn write(batch: &[Packet], after: u64, out: &mut Vec<u8>) {
    let mut numbered = json::numbered(batch, after);
    for packet in batch {
        match packet {
            Packet::Message(_) => {
                if let Some((number, message)) = numbered.next() {
                    write_message(number, message, out);
                }
            }
            // A comment, so that no intermediary takes the stream for dead.
            Packet::Ping(_) => out.extend_from_slice(b":\n\n"),
            Packet::Noop => write_last("replaced", "", out),
            Packet::Close(why) => {
                write_last("close", &json::closing(why.as_deref().unwrap_or(&Closing::default())), out);
            }
            Packet::Open(_) | Packet::Pong(_) | Packet::Upgrade => {}
        }
    }
}

fn write_message(number: u64, message: &Message, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("id: {number}\n").as_bytes());
    match message {
        Message::Binary(bytes) => {
            out.extend_from_slice(b"event: binary\ndata: ");
            base64::encode_into(bytes, out);
            out.push(b'\n');
        }
        // CR ends a line as well: sent unchanged, it would arrive as LF.
        Message::Text(text) if memchr::memchr(b'\r', text.as_bytes()).is_some() => {
            out.extend_from_slice(b"event: json\ndata: ");
            json::write_string(text.as_str(), out);
            out.push(b'\n');
        }
        Message::Text(text) => {
            for line in text.as_str().split('\n') {
                out.extend_from_slice(b"data: ");
                out.extend_from_slice(line.as_bytes());
                out.push(b'\n');
            }
        }
    }
    out.push(b'\n');
}

/// Appends the last event of a stream that should not be requested again. A page that ignores the event still
/// reconnects, but only after a day.
fn write_last(event: &str, data: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: {event}\nretry: 86400000\ndata: {data}\n\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::packet::Text;

    fn written(batch: &[Packet], after: u64) -> String {
        let mut out = Vec::new();
        write(batch, after, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn text(text: &str) -> Packet {
        Packet::Message(Message::text(text))
    }

    #[test]
    fn each_message_is_an_event_with_its_number() {
        assert_eq!(written(&[text("a"), text(" b")], 8), "id: 7\ndata: a\n\nid: 8\ndata:  b\n\n");
        assert_eq!(written(&[text("")], 1), "id: 1\ndata: \n\n");
        assert_eq!(written(&[text("a\nb\n")], 1), "id: 1\ndata: a\ndata: b\ndata: \n\n");
        assert_eq!(written(&[text("a\rb\n")], 1), "id: 1\nevent: json\ndata: \"a\\rb\\n\"\n\n");
        let binary = Packet::Message(Message::Binary(Bytes::from_static(&[1, 2, 3, 4])));
        assert_eq!(written(&[binary], 1), "id: 1\nevent: binary\ndata: AQIDBA==\n\n");
    }

    #[test]
    fn what_is_no_message_is_a_comment_or_the_last_event() {
        assert_eq!(written(&[Packet::Ping(Text::default())], 1), ":\n\n");
        assert_eq!(written(&[Packet::Noop], 1), "event: replaced\nretry: 86400000\ndata: \n\n");
        let why = Packet::Close(Some(Box::new(Closing::new(1000, "bye"))));
        assert_eq!(
            written(&[why], 1),
            "event: close\nretry: 86400000\ndata: {\"code\":1000,\"reason\":\"bye\"}\n\n"
        );
    }

    /// An event as a browser reads it.
    #[derive(Debug, Default, PartialEq)]
    struct Event {
        id: String,
        name: String,
        data: String,
    }

    /// Reads a stream as HTML says, section "Interpreting an event stream".
    fn read(stream: &str) -> Vec<Event> {
        let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
        let (mut events, mut now) = (Vec::new(), Event::default());
        for line in lines.split('\n') {
            if line.is_empty() {
                let mut event = Event { id: now.id.clone(), ..std::mem::take(&mut now) };
                if event.data.pop().is_some() {
                    now.id.clone_from(&event.id);
                    events.push(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut now.id),
                "event" => value.clone_into(&mut now.name),
                "data" => {
                    now.data.push_str(value);
                    now.data.push('\n');
                }
                _ => {}
            }
        }
        events
    }

    proptest! {
        #[test]
        fn a_browser_reads_what_was_sent(texts in prop::collection::vec("[a \r\n:\u{0}\u{feff}é]{0,12}", 1..6)) {
            let batch: Vec<Packet> = texts.iter().map(|one| text(one)).collect();
            let events = read(&written(&batch, 100 + texts.len() as u64));
            prop_assert_eq!(events.len(), texts.len());
            for (index, (event, text)) in events.iter().zip(&texts).enumerate() {
                prop_assert_eq!(&event.id, &(101 + index).to_string());
                let data = match event.name.as_str() {
                    "json" => serde_json::from_str(&event.data).unwrap(),
                    _ => event.data.clone(),
                };
                prop_assert_eq!(&data, text);
            }
        }
    }
}
