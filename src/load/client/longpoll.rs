//! Dialect longpoll: polls with a cursor, or server-sent events; each message is a POST with a number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::requests::{Begun, Requests, expect, shown, text_of};
use crate::load::fault::Fault;
use crate::load::net::{Answer, Head};
use crate::packet::{Closing, Message, Packet, Text};

/// One session's requests.
#[derive(Debug)]
pub(super) struct LongPoll {
    /// The session's path below the route's path.
    place: String,
    streams: bool,
    /// The last message that was received.
    after: u64,
    /// The last message that was sent.
    sent: u64,
    /// The beginning of an incomplete event.
    rest: BytesMut,
}

impl LongPoll {
    pub(super) fn new(streams: bool) -> Self {
        Self { place: String::new(), streams, after: 0, sent: 0, rest: BytesMut::new() }
    }

    fn read_poll(&mut self, body: &[u8]) -> Option<Vec<Result<Packet, Fault>>> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        self.after = answer["after"].as_u64()?;
        let read = |message: &Value| match (message["text"].as_str(), message["base64"].as_str()) {
            (Some(text), None) => Some(Ok(text_packet(text.to_owned()))),
            (None, Some(text)) => Some(Ok(binary_packet(text)?)),
            _ => None,
        };
        answer["messages"].as_array()?.iter().map(read).collect()
    }

    /// Returns the complete events; an empty line ends each (WHATWG HTML, section 9.2.6).
    fn read_events(&mut self, part: &[u8]) -> Vec<Result<Packet, Fault>> {
        self.rest.extend_from_slice(part);
        let mut packets = Vec::new();
        while let Some(end) = memchr::memmem::find(&self.rest, b"\n\n") {
            let event = self.rest.split_to(end + 2).freeze();
            packets.extend(self.read_event(&event).transpose());
        }
        packets
    }

    /// Returns the packet in an event. A comment and a `retry` field have none.
    fn read_event(&mut self, event: &[u8]) -> Result<Option<Packet>, Fault> {
        let (mut kind, mut data) = ("", None::<String>);
        for line in std::str::from_utf8(event).map_err(|_| foreign(event))?.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "event" => kind = value,
                "id" => self.after = value.parse().map_err(|_| foreign(event))?,
                "data" => match &mut data {
                    None => data = Some(value.to_owned()),
                    Some(data) => data.extend(["\n", value]),
                },
                _ => {}
            }
        }
        let Some(data) = data else { return Ok(None) };
        let json = || serde_json::from_str(&data).ok();
        let packet = match kind {
            "" => Some(text_packet(data)),
            "json" => json().map(text_packet),
            "binary" => binary_packet(&data),
            "close" => return Err(closed(&serde_json::from_str(&data).unwrap_or_default())),
            _ => None,
        };
        packet.map(Some).ok_or_else(|| foreign(event))
    }
}

impl Requests for LongPoll {
    fn begin(&mut self, head: &Head) -> Request<Full<Bytes>> {
        head.request_at(Method::POST, "/", "", Bytes::new())
    }

    fn handle_begun(&mut self, answer: Answer) -> Result<Option<Begun>, Fault> {
        expect("the handshake", StatusCode::CREATED, &answer)?;
        let begun: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let session = begun.as_ref().and_then(|begun| begun["session"].as_str());
        self.place = format!("/{}", session.ok_or_else(|| foreign(&answer.body))?);
        Ok(Some(Begun { open: None, packets: Vec::new() }))
    }

    fn receive(&mut self, head: &Head) -> Request<Full<Bytes>> {
        self.rest.clear();
        let after = format!("after={}", self.after);
        let mut request = head.request_at(Method::GET, &self.place, &after, Bytes::new());
        if self.streams {
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
            headers.insert(LAST_EVENT_ID, HeaderValue::from(self.after));
        }
        request
    }

    fn handle_received(&mut self, answer: Answer) -> Result<Vec<Result<Packet, Fault>>, Fault> {
        if answer.status == StatusCode::GONE {
            let why: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            return Err(closed(&why["closed"]));
        }
        expect("a poll", StatusCode::OK, &answer)?;
        if self.streams {
            return Ok(self.read_events(&answer.body));
        }
        self.read_poll(&answer.body).ok_or_else(|| foreign(&answer.body))
    }

    /// Returns whether the first request streams. It does not: a session begins with a request of its own, and only
    /// receivers stream.
    fn streams(&self) -> bool {
        self.streams && !self.place.is_empty()
    }

    fn batch_max(&self) -> usize {
        1
    }

    fn send(&mut self, head: &Head, packets: &[Packet]) -> Request<Full<Bytes>> {
        self.sent += 1;
        let body = packets.iter().find_map(text_of).map(|text| text.clone().into_bytes());
        head.request_at(Method::POST, &self.place, &format!("id={}", self.sent), body.unwrap_or_default())
    }

    fn handle_sent(&mut self, answer: &Answer) -> Result<(), Fault> {
        expect("a POST", StatusCode::NO_CONTENT, answer)
    }

    fn end(&mut self, head: &Head, _goodbye: &[Packet]) -> Option<Request<Full<Bytes>>> {
        Some(head.request_at(Method::DELETE, &self.place, "", Bytes::new()))
    }
}

fn text_packet(text: String) -> Packet {
    Packet::Message(Message::text(text))
}

fn binary_packet(text: &str) -> Option<Packet> {
    Some(Packet::Message(Message::Binary(STANDARD.decode(text).ok()?.into())))
}

fn closed(why: &Value) -> Fault {
    let code = why["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    let reason = Text::from(why["reason"].as_str().unwrap_or_default().to_owned());
    Fault::Closed(Some(Closing { code, reason, by_packet: false }))
}

fn foreign(text: &[u8]) -> Fault {
    Fault::Foreign { dialect: "longpoll", text: shown(text) }
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(packets: Vec<Result<Packet, Fault>>) -> Vec<String> {
        let text = |packet| match packet {
            Ok(Packet::Message(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        packets.into_iter().map(text).collect()
    }

    #[test]
    fn a_poll_moves_the_cursor() {
        let mut session = LongPoll::new(false);
        let body = br#"{"after":7,"messages":[{"id":6,"text":"a"},{"id":7,"text":"b\n"}]}"#;
        assert_eq!(texts(session.read_poll(body).unwrap()), ["a", "b\n"]);
        assert_eq!(session.after, 7);
        let body = br#"{"after":8,"messages":[{"id":8,"base64":"AQ=="}]}"#;
        let binary = session.read_poll(body).unwrap().remove(0).unwrap();
        assert_eq!(binary, Packet::Message(Message::Binary(Bytes::from_static(b"\x01"))));
        assert!(session.read_poll(b"{}").is_none());
    }

    #[test]
    fn events_are_read_wherever_they_are_cut() {
        let stream = "retry: 0\n\nid: 1\ndata: a\n\n: still there\n\nid: 2\ndata: b\ndata: c\n\n\
                      id: 3\nevent: json\ndata: \"d\\r\"\n\n";
        for cut in 0..stream.len() {
            let (mut session, mut come) = (LongPoll::new(true), Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                come.extend(texts(session.read_events(part.as_bytes())));
            }
            assert_eq!((come.join(" "), session.after), ("a b\nc d\r".to_owned(), 3), "{cut}");
        }
    }

    #[test]
    fn an_end_says_why() {
        let mut session = LongPoll::new(true);
        let told = session.read_events(b"event: close\ndata: {\"code\":1000,\"reason\":\"bye\"}\n\n");
        let [Err(Fault::Closed(Some(closing)))] = &told[..] else { panic!("{told:?}") };
        assert_eq!((closing.code, closing.reason.as_str()), (Some(1000), "bye"));
        assert!(session.read_events(b"event: replaced\ndata: x\n\n")[0].is_err());
    }
}
