//! SockJS: long-polling (`xhr`) or streaming (`xhr_streaming`), and its frames.

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use super::requests::{Begun, Requests, expect, shown, text_of};
use crate::load::fault::Fault;
use crate::load::net::{Answer, Head};
use crate::packet::{Closing, Message, Packet, Text};

/// One session's requests.
#[derive(Debug)]
pub(super) struct SockJs {
    /// Server and session, below the base URL.
    place: String,
    streams: bool,
    /// Whether `/info` was answered.
    is_informed: bool,
    /// The beginning of an incomplete frame.
    rest: BytesMut,
    stamp: u64,
}

impl SockJs {
    /// Creates a session under an id of its own.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(super) fn new(streams: bool) -> Result<Self, Fault> {
        Ok(Self { place: place()?, streams, is_informed: false, rest: BytesMut::new(), stamp: 0 })
    }

    fn ask(&mut self, head: &Head, what: &str, body: Bytes) -> Request<Full<Bytes>> {
        self.stamp += 1;
        let stamp = format!("t={:08x}", self.stamp);
        head.request_at(Method::POST, &format!("{}/{what}", self.place), &stamp, body)
    }

    /// Returns the complete frames; each ends with a line feed.
    fn frames(&mut self, body: &[u8]) -> Result<Vec<Result<Packet, Fault>>, Fault> {
        self.rest.extend_from_slice(body);
        let mut packets = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &self.rest) {
            let line = self.rest.split_to(end + 1);
            packets.extend(read_frame(&line[..end])?.into_iter().map(Ok));
        }
        Ok(packets)
    }
}

impl Requests for SockJs {
    fn begin(&mut self, head: &Head) -> Request<Full<Bytes>> {
        if self.is_informed {
            self.receive(head)
        } else {
            head.request_at(Method::GET, "/info", "", Bytes::new())
        }
    }

    fn handle_begun(&mut self, answer: Answer) -> Result<Option<Begun>, Fault> {
        expect("the handshake", StatusCode::OK, &answer)?;
        if !self.is_informed {
            self.is_informed = !answer.goes_on;
            return Ok(None);
        }
        let mut packets = self.frames(&answer.body)?.into_iter();
        let first = packets.next().transpose()?;
        if first.is_none() && answer.goes_on {
            return Ok(None);
        }
        // Another kind of server sends no line feed, so its response is still an incomplete frame.
        if first.is_none() {
            return Err(foreign(&self.rest));
        }
        begin(first.as_ref())?;
        Ok(Some(Begun { open: None, packets: packets.collect() }))
    }

    fn receive(&mut self, head: &Head) -> Request<Full<Bytes>> {
        self.rest.clear();
        self.ask(head, if self.streams { "xhr_streaming" } else { "xhr" }, Bytes::new())
    }

    fn handle_received(&mut self, answer: Answer) -> Result<Vec<Result<Packet, Fault>>, Fault> {
        expect("a poll", StatusCode::OK, &answer)?;
        self.frames(&answer.body)
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn send(&mut self, head: &Head, packets: &[Packet]) -> Request<Full<Bytes>> {
        self.ask(head, "xhr_send", write_messages(packets))
    }

    fn handle_sent(&mut self, answer: &Answer) -> Result<(), Fault> {
        expect("a POST", StatusCode::NO_CONTENT, answer)
    }

    /// Returns nothing: the protocol has no close packet over HTTP, a client just leaves.
    fn end(&mut self, _head: &Head, _goodbye: &[Packet]) -> Option<Request<Full<Bytes>>> {
        None
    }
}

/// Returns a new session's path below the base URL.
///
/// # Errors
/// The system gives no randomness.
pub(super) fn place() -> Result<String, Fault> {
    let random = getrandom::u64().map_err(|error| Fault::Broken(error.into()))?;
    Ok(format!("/{:03}/{random:016x}", random % 1000))
}

/// Reads one frame: no packet from a heartbeat or a stream's prelude, all messages from an array.
pub(super) fn read_frame(frame: &[u8]) -> Result<Vec<Packet>, Fault> {
    let message = |text: String| Packet::Message(Message::text(text));
    Ok(match frame {
        b"o" => vec![Packet::Open(Text::default())],
        [b'h', ..] | b"" => Vec::new(),
        [b'a', array @ ..] => {
            let texts: Vec<String> = serde_json::from_slice(array).map_err(|_| foreign(frame))?;
            texts.into_iter().map(message).collect()
        }
        [b'm', text @ ..] => vec![message(serde_json::from_slice(text).map_err(|_| foreign(frame))?)],
        [b'c', why @ ..] => {
            let (code, reason): (u16, String) = serde_json::from_slice(why).map_err(|_| foreign(frame))?;
            let closing = Closing { code: Some(code), reason: Text::from(reason), by_packet: false };
            return Err(Fault::Closed(Some(closing)));
        }
        _ => return Err(foreign(frame)),
    })
}

/// Returns what a client sends: an array of its messages.
pub(super) fn write_messages(packets: &[Packet]) -> Bytes {
    let texts: Vec<&str> = packets.iter().filter_map(text_of).map(Text::as_str).collect();
    serde_json::to_vec(&texts).unwrap_or_default().into()
}

/// Demands that a session's first frame is the one that opens it.
pub(super) fn begin(first: Option<&Packet>) -> Result<(), Fault> {
    if let Some(Packet::Open(_)) = first { Ok(()) } else { Err(foreign(b"a session does not begin with o")) }
}

fn foreign(text: &[u8]) -> Fault {
    Fault::Foreign { dialect: "SockJS", text: shown(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(packets: &[Packet]) -> Vec<&str> {
        packets.iter().map(|packet| text_of(packet).unwrap().as_str()).collect()
    }

    #[test]
    fn frames_are_read() {
        assert_eq!(read_frame(b"o").unwrap(), [Packet::Open(Text::default())]);
        assert_eq!(read_frame(b"h").unwrap(), []);
        assert_eq!(texts(&read_frame(br#"a["x","\u00e9\ud83d\ude00"]"#).unwrap()), ["x", "\u{e9}\u{1f600}"]);
        assert_eq!(texts(&read_frame(br#"m"x""#).unwrap()), ["x"]);
        for frame in [&b"a[1]"[..], b"a", b"c[1]", b"x", b"oo"] {
            assert!(matches!(read_frame(frame), Err(Fault::Foreign { .. })), "{frame:?}");
        }
        let Err(Fault::Closed(Some(closing))) = read_frame(br#"c[3000,"Go away!"]"#) else { panic!() };
        assert_eq!((closing.code, closing.reason.as_str()), (Some(3000), "Go away!"));
    }

    #[test]
    fn a_frame_that_comes_in_pieces_is_one() {
        let mut session = SockJs::new(true).unwrap();
        let mut come = 0;
        for piece in ["hhhh\n", "a[\"1", "\"]\na[\"2\",\"3\"]", "\n", "h\n"] {
            come += session.frames(piece.as_bytes()).unwrap().len();
        }
        assert_eq!(come, 3);
    }

    #[test]
    fn messages_are_one_array() {
        let packets = ["a", "\"b\""].map(|text| Packet::Message(Message::text(text)));
        assert_eq!(write_messages(&packets), r#"["a","\"b\""]"#);
    }
}
