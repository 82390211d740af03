//! How one request, or one client's WebSocket, is read and answered.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::end::End;
use crate::frame::{Frame, Malformed};
use crate::packet::{Closing, Heartbeat, Packet, Text};
use crate::reply::{Refused, Reply};
use crate::session::{CursorRefused, Ending, Packets};

/// How one request, or one client's WebSocket, is read and answered. A session keeps the framing of its first request,
/// and its dialect decides whether later requests are answered in that one or in their own.
pub trait Framing: Send + Sync + fmt::Debug {
    /// Returns the version of its dialect, if there are several.
    fn version(&self) -> u8 {
        0
    }

    /// Returns the first packet for a new session's client, if there is one.
    fn greet(&self, greeting: &Greeting<'_>) -> Option<Packet>;

    /// Returns the response to the request that begins a session, unless that is a poll.
    fn begun(&self, _greeting: &Greeting<'_>) -> Option<Reply> {
        None
    }

    /// Refuses a request that begins a session and has a body, unless the body means nothing and is discarded.
    fn refuse_body(&self) -> Option<Reply> {
        None
    }

    /// Returns how a POST with these headers is read; `None` if it can't be. A dialect without polling reads none.
    fn read_push(&self, _headers: &HeaderMap) -> Option<PushForm> {
        None
    }

    /// Returns whether U+FFFD is read in place of what is not UTF-8 in a POST's text. It is longer than what it replaces.
    fn mends_text(&self) -> bool {
        false
    }

    /// Returns the packets in a POST's body.
    ///
    /// # Errors
    /// The response to a POST of which nothing is accepted. Its session continues; a malformed packet among others ends
    /// it.
    fn decode_push(&self, _form: PushForm, _body: Bytes) -> Result<Packets, Box<Reply>> {
        Ok(Box::new(std::iter::empty()))
    }

    /// Returns the number of a client's POST, if the client numbers them.
    fn push_number(&self) -> Option<u64> {
        None
    }

    /// Answers a client that has skipped a POST: the one with this number was expected.
    fn refuse_gap(&self, _expected: u64) -> Reply {
        self.refuse(Refusal::Unreadable, RequestKind::Http)
    }

    /// Answers a request whose session has ended.
    fn refuse_ended(&self, _ending: &Ending) -> Reply {
        self.refuse(Refusal::Over, RequestKind::Http)
    }

    /// Returns the response to a POST whose packets were accepted.
    fn encode_taken(&self) -> PollBody {
        PollBody::default()
    }

    /// Returns a poll's response.
    fn encode_poll(&self, _batch: &[Packet]) -> PollBody {
        PollBody::default()
    }

    /// Returns a poll's response, for a client that acknowledges messages by number; `last` is the number of the
    /// batch's last message, or of the one before if there is none in it.
    fn encode_numbered(&self, batch: &[Packet], _last: u64) -> PollBody {
        self.encode_poll(batch)
    }

    /// Returns how many bytes each byte of a packet, measured as the session's policy does, may become in a response.
    fn growth(&self) -> u8 {
        1
    }

    /// Returns whether a receiver of it takes one batch after another.
    fn streams(&self) -> bool {
        false
    }

    /// Returns the close packet that refuses a receiver, if this framing does so in a packet in place of a status. `ending`
    /// is how its session has ended, if that is why.
    fn refuse_in_band(&self, _refusal: Refusal, _ending: Option<&Ending>) -> Option<Closing> {
        None
    }

    /// Returns the beginning of a stream, if the dialect has streams.
    fn begin_stream(&self) -> StreamHead {
        StreamHead::default()
    }

    /// Encodes a part of a stream; `last` is the number of its last message, or of the one before if there is none in
    /// it.
    fn encode_part(&self, batch: &[Packet], last: u64) -> Part {
        let bytes = self.encode_numbered(batch, last).bytes;
        Part { units: bytes.len(), bytes }
    }

    /// Answers a client that acknowledges an impossible number.
    fn refuse_cursor(&self, _refused: CursorRefused) -> Reply {
        self.refuse(Refusal::Unreadable, RequestKind::Http)
    }

    /// Returns all headers of the response to a poll or a POST, its type among them, if they are always the same; then they
    /// need not be added one by one.
    fn ready_headers(&self) -> Option<&HeaderMap> {
        None
    }

    /// Adds the headers that every response to a poll or a POST has besides its type. Internet Explorer (`legacy_ie`)
    /// takes some responses for an attack unless told otherwise.
    fn add_headers(&self, _legacy_ie: bool, _headers: &mut HeaderMap) {}

    /// Adds headers to every response that the proxy gives in place of the dialect, for example when it is full or the
    /// backend is down.
    fn mark(&self, _headers: &mut HeaderMap) {}

    /// Decodes a text frame.
    ///
    /// # Errors
    /// It is malformed in this dialect: the session ends.
    fn decode_text(&self, text: Text) -> Result<Read, Malformed>;

    /// Decodes a binary frame.
    ///
    /// # Errors
    /// As for a text frame.
    fn decode_binary(&self, bytes: Bytes) -> Result<Read, Malformed>;

    /// Returns the packet that a WebSocket Pong stands for, if the heartbeat is WebSocket's own (RFC 6455, section
    /// 5.5).
    fn decode_pong(&self) -> Option<Packet> {
        None
    }

    /// Encodes a packet for a WebSocket.
    fn encode_frame(&self, packet: &Packet) -> Written;

    /// Returns what is written on a WebSocket before its Close frame, by the session's end and the backend's `closing`.
    /// The default is the close packet, if the backend has sent one: it tells a client that the close was intended.
    fn packet_before_close(&self, _end: End, closing: &Closing) -> Option<Packet> {
        closing.by_packet.then_some(Packet::Close(None))
    }

    /// Returns the content of the Close frame, by the session's end and the backend's `closing`; the default is empty,
    /// without a code.
    fn goodbye(&self, _end: End, _closing: &Closing) -> Closing {
        Closing::default()
    }

    /// Returns the end that a client gets in place of its backend's refusal, because it would take the status as a reason
    /// to try again.
    fn end_refused(&self, _refused: &Refused) -> Option<Closing> {
        None
    }

    /// Returns the response to a refused request.
    fn refuse(&self, refusal: Refusal, kind: RequestKind) -> Reply;

    /// Returns a backend's refusal in the form of this dialect.
    fn translate_refusal(&self, refused: Refused, kind: RequestKind) -> Reply;
}

/// What a client may be told when its session begins.
#[derive(Clone, Copy, Debug)]
pub struct Greeting<'a> {
    /// Its id.
    pub sid: &'a str,
    /// Whether it may move to a WebSocket.
    pub upgrades: bool,
    /// Its heartbeat.
    pub pace: Heartbeat,
    /// The largest payload that it may send, in bytes.
    pub max_payload: usize,
    /// Whether that limit comes from its backend or the route, and is not only ours.
    pub announced: bool,
}

/// The form of a POST's body, by its headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushForm {
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// A form with one field of text.
    Form,
    /// Unknown: the body holds no packets, and the response says so.
    Unknown,
}

/// The response to a poll or a POST, without the headers that all of them have ([`Framing::add_headers`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollBody {
    /// Its status.
    pub status: StatusCode,
    /// Its `Content-Type`; empty if it has none.
    pub content_type: HeaderValue,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Default for PollBody {
    fn default() -> Self {
        Self { status: StatusCode::OK, content_type: TEXT, bytes: Bytes::new() }
    }
}

/// The content of a WebSocket frame.
pub enum Read {
    /// One packet, as in most dialects.
    One(Packet),
    /// Any number of packets, decoded one by one.
    Many(Packets),
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(packet) => f.debug_tuple("One").field(packet).finish(),
            Self::Many(_) => f.write_str("Many"),
        }
    }
}

/// The beginning of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamHead {
    /// Its `Content-Type`.
    pub content_type: HeaderValue,
    /// What is sent first, at once.
    pub prelude: Bytes,
    /// The stream's budget: it ends after the part that reaches this.
    pub budget: usize,
}

impl Default for StreamHead {
    fn default() -> Self {
        Self { content_type: TEXT, prelude: Bytes::new(), budget: usize::MAX }
    }
}

/// A part of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its bytes.
    pub bytes: Bytes,
    /// How much of the stream's budget it uses.
    pub units: usize,
}

/// How a packet is written on a WebSocket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// As a message.
    Frame(Frame),
    /// As a WebSocket Ping.
    Ping,
    /// Not at all: the dialect has no such packet.
    Nothing,
}

/// Why the proxy refuses a request, in any dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Its session has ended.
    Over,
    /// Another of its kind is pending.
    Overlap,
    /// Its session is on another transport.
    WrongTransport,
    /// Its body is of an unknown kind.
    Unreadable,
    /// Its body is larger than `max_payload`.
    TooLarge,
    /// Its body comes too slowly.
    TooSlow,
    /// Its page's origin may not begin a session here.
    Forbidden,
    /// Its WebSocket handshake violates RFC 6455, section 4.2.1, as the text says.
    BadWebSocket(&'static str),
}

/// Whether a request is a WebSocket handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestKind {
    /// It is not: it gets a plain response.
    Http,
    /// It is.
    WebSocket,
}

/// A constant, as it is checked byte by byte when it is made.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
