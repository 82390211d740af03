//! How one request, or one client's WebSocket, is read and answered.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::end::End;
use crate::frame::{Frame, Malformed};
use crate::packet::{Closing, Heartbeat, Packet, Text};
use crate::reply::{Refused, Reply};
use crate::session::{CursorRefused, Ending, Packets};

/// How one request, or one client's WebSocket, is read and answered. It belongs to what receives: a session keeps the
/// one of its first request, and its dialect decides whether later requests are answered in that or in their own.
pub trait Framing: Send + Sync + fmt::Debug {
    /// Returns which version of its dialect it is written in, where there are several.
    fn version(&self) -> u8 {
        0
    }

    /// Returns what a new session's client is told first, if anything.
    fn greet(&self, greeting: &Greeting<'_>) -> Option<Packet>;

    /// Returns what answers the request that begins a session, where that is no poll.
    fn begun(&self, _greeting: &Greeting<'_>) -> Option<Reply> {
        None
    }

    /// Returns how a POST with these headers is to be read; `None` where it can't be. A dialect without polling reads
    /// none.
    fn read_push(&self, _headers: &HeaderMap) -> Option<PushForm> {
        None
    }

    /// Returns the packets in a POST's body.
    ///
    /// # Errors
    /// The answer to a POST of which nothing is taken. Its session goes on; a packet that is wrong among others ends it.
    fn decode_push(&self, _form: PushForm, _body: Bytes) -> Result<Packets, Box<Reply>> {
        Ok(Box::new(std::iter::empty()))
    }

    /// Returns which of its client's POSTs this is, for one that numbers them.
    fn push_number(&self) -> Option<u64> {
        None
    }

    /// Answers a client that leaves out a POST: the one with this number was expected.
    fn refuse_gap(&self, _expected: u64) -> Reply {
        self.refuse(Refusal::Unreadable, Road::Http)
    }

    /// Answers a request whose session has ended.
    fn refuse_ended(&self, _ending: &Ending) -> Reply {
        self.refuse(Refusal::Over, Road::Http)
    }

    /// Returns the answer to a POST whose packets were taken.
    fn encode_taken(&self) -> PollBody {
        PollBody::default()
    }

    /// Returns a poll's answer.
    fn encode_poll(&self, _batch: &[Packet]) -> PollBody {
        PollBody::default()
    }

    /// Returns a poll's answer, for a client that says how far it has come; `last` is the number of the batch's last
    /// message, or of the one before where there is none in it.
    fn encode_numbered(&self, batch: &[Packet], _last: u64) -> PollBody {
        self.encode_poll(batch)
    }

    /// Returns how a stream begins, where there are streams.
    fn begin_stream(&self) -> StreamHead {
        StreamHead::default()
    }

    /// Encodes a part of a stream; `last` is the number of its last message, or of the one before where there is none in it.
    fn encode_part(&self, batch: &[Packet], last: u64) -> Part {
        let bytes = self.encode_numbered(batch, last).bytes;
        Part { units: bytes.len(), bytes }
    }

    /// Answers a client that says that it has come where it can't have.
    fn refuse_cursor(&self, _refused: CursorRefused) -> Reply {
        self.refuse(Refusal::Unreadable, Road::Http)
    }

    /// Adds the headers that every answer to a poll or a POST has besides its type. Internet Explorer (`legacy_ie`)
    /// takes some answers for an attack unless told otherwise.
    fn add_headers(&self, _legacy_ie: bool, _headers: &mut HeaderMap) {}

    /// Adds the headers that every answer has which the proxy gives in the dialect's place: that it is full, or the
    /// backend down.
    fn mark(&self, _headers: &mut HeaderMap) {}

    /// Returns what a text frame says.
    ///
    /// # Errors
    /// It is not one of this dialect's: the session ends.
    fn decode_text(&self, text: Text) -> Result<Read, Malformed>;

    /// Returns what a binary frame says.
    ///
    /// # Errors
    /// As for a text frame.
    fn decode_binary(&self, bytes: Bytes) -> Result<Read, Malformed>;

    /// Returns the packet that a WebSocket's own Pong stands for, where the heartbeat is WebSocket's (RFC 6455, section
    /// 5.5).
    fn decode_pong(&self) -> Option<Packet> {
        None
    }

    /// Returns a packet on a WebSocket.
    fn encode_frame(&self, packet: &Packet) -> Written;

    /// Returns what is written on a WebSocket before its Close frame when a session has ended so, its backend having
    /// said `closing`. By default the close packet, where the backend has sent one: a client that gets it knows that
    /// the end was meant.
    fn last_word(&self, _end: End, closing: &Closing) -> Option<Packet> {
        closing.by_packet.then_some(Packet::Close(None))
    }

    /// Returns what the Close frame says when a session has ended so, its backend having said `closing`; without a
    /// code, nothing.
    fn goodbye(&self, _end: End, _closing: &Closing) -> Closing {
        Closing::default()
    }

    /// Returns what a refused request is answered with.
    fn refuse(&self, refusal: Refusal, road: Road) -> Reply;

    /// Returns a backend's refusal in the words of this dialect.
    fn translate_refusal(&self, refused: Refused, road: Road) -> Reply;
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
    /// Whether that is its backend's or the route's word, and not only ours.
    pub announced: bool,
}

/// What a POST's body is, by its headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushForm {
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// A form, one field of which is text.
    Form,
    /// Nothing that there are packets in: its answer says so.
    Unknown,
}

/// The answer to a poll or a POST, without the headers that every one of them has ([`Framing::add_headers`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollBody {
    /// Its status.
    pub status: StatusCode,
    /// Its `Content-Type`; empty where it has none.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Default for PollBody {
    fn default() -> Self {
        Self { status: StatusCode::OK, content_type: "text/plain; charset=UTF-8", bytes: Bytes::new() }
    }
}

/// What a frame of a WebSocket says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// One packet, as in most dialects.
    One(Packet),
    /// Any number of packets.
    Many(Vec<Packet>),
}

/// How a stream begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamHead {
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// What comes before anything else, at once.
    pub prelude: Bytes,
    /// How much of its parts it carries: behind the one that reaches this, it ends.
    pub budget: usize,
}

impl Default for StreamHead {
    fn default() -> Self {
        Self { content_type: "text/plain; charset=UTF-8", prelude: Bytes::new(), budget: usize::MAX }
    }
}

/// A part of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its bytes.
    pub bytes: Bytes,
    /// How much of the stream's budget it takes.
    pub units: usize,
}

/// What becomes of a packet on a WebSocket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// A message.
    Frame(Frame),
    /// A Ping of WebSocket's own.
    Ping,
    /// The dialect has no word for it.
    Nothing,
}

/// Why the proxy refuses a request, whatever dialect it is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Its session is over.
    Over,
    /// Another of its kind is under way.
    Overlap,
    /// Its session is on another transport.
    WrongTransport,
    /// Its body is of a kind that can't be read.
    Unreadable,
    /// Its body is larger than `max_payload`.
    TooLarge,
    /// Its page's origin may not begin a session here.
    Forbidden,
    /// It asks for a WebSocket, and its handshake is not that of RFC 6455, section 4.2.1; the text says where.
    BadWebSocket(&'static str),
}

/// How a request came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Road {
    /// As plain HTTP.
    Http,
    /// As the handshake of a WebSocket.
    WebSocket,
}
