//! What clients speak: bytes to packets and back, and what a request asks for. Pure: no I/O, no clock.
//!
//! Each dialect is a folder and one line in [`DIALECTS`](table::DIALECTS).

pub mod engineio;
pub mod table;
pub mod websocket;

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;

use crate::end::End;
use crate::frame::{Frame, Malformed};
use crate::framing::{Framing, Protocol, Revision, Versions};
use crate::packet::{Closing, Heartbeat, Packet, Text, Transport};
use crate::reply::{Refused, Reply};
use crate::session::{Packets, Policy};
pub use table::find;

/// How one kind of client speaks.
pub trait Dialect: Sync + fmt::Debug {
    /// The name in the configuration.
    fn name(&self) -> &'static str;

    /// What its clients speak on a WebSocket.
    fn protocol(&self) -> Protocol;

    /// How its sessions are treated; `socket_io` where their messages are known to be Socket.IO's.
    fn policy(&self, framing: Framing, socket_io: bool) -> Policy;

    /// What a request asks for, on a route that `accepts` these clients. `find` looks up a session's id.
    ///
    /// # Errors
    /// What the request is answered with at once.
    fn read_head(
        &self,
        head: &Parts,
        road: Road,
        accepts: Accepts,
        find: &mut dyn FnMut(&str) -> Option<Known>,
    ) -> Result<Op, Reject>;

    /// The pairs of a first request's query that are the application's, as the client wrote them.
    fn application_query(&self, query: &str) -> String;

    /// What a new session's client is told first, if anything.
    fn greet(&self, framing: Framing, greeting: &Greeting<'_>) -> Option<Packet>;

    /// How a POST with these headers is to be read; `None` where it can't be. A dialect without polling reads none.
    fn read_push(&self, _carrier: Framing, _headers: &HeaderMap) -> Option<PushForm> {
        None
    }

    /// The packets in a POST's body.
    fn decode_push(&self, _carrier: Framing, _form: PushForm, _body: Bytes) -> Packets {
        Box::new(std::iter::empty())
    }

    /// A poll's answer.
    fn encode_poll(&self, _carrier: Framing, _batch: &[Packet]) -> PollBody {
        PollBody { content_type: "text/plain; charset=UTF-8", bytes: Bytes::new() }
    }

    /// The packet in a text frame.
    fn decode_text(&self, framing: Framing, text: Text) -> Result<Packet, Malformed>;

    /// The packet in a binary frame.
    fn decode_binary(&self, framing: Framing, bytes: Bytes) -> Result<Packet, Malformed>;

    /// The packet that a WebSocket's own Pong stands for, where the heartbeat is WebSocket's (RFC 6455, section 5.5).
    fn decode_pong(&self) -> Option<Packet> {
        None
    }

    /// A packet on a WebSocket.
    fn encode_frame(&self, framing: Framing, packet: &Packet) -> Written;

    /// What the Close frame says when a session has ended so, its backend having said `closing`; without a code, nothing.
    fn goodbye(&self, _end: End, _closing: &Closing) -> Closing {
        Closing::default()
    }

    /// What a refused request is answered with.
    fn reply(&self, reject: &Reject, road: Road) -> Reply;

    /// A backend's refusal in the words of this dialect.
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

/// Which clients a route takes, and how they are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepts {
    /// The revisions of Engine.IO that may begin sessions.
    pub versions: Versions,
    /// Whether clients of revision 3 are those of Socket.IO 1, whose polls nothing else tells apart.
    pub doubled: bool,
}

impl Default for Accepts {
    fn default() -> Self {
        Self { versions: Versions::ALL, doubled: false }
    }
}

/// What a POST's body is, by its headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PushForm {
    /// Text.
    Text,
    /// Bytes.
    Binary,
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

/// What the index knows of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// What its client is on.
    pub transport: Transport,
    /// Which revision its client speaks.
    pub revision: Revision,
}

/// What a request asks for. The session of those that have one is the one that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A new session on this transport.
    Handshake(Transport, Framing),
    /// What there is for the client.
    Poll,
    /// To hand over what the client has.
    Push,
    /// To move to this WebSocket.
    Upgrade,
    /// A WebSocket that is accepted and closed at once, because the reference does so.
    CloseAtOnce,
}

/// Why a request is answered without a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reject {
    /// No such transport.
    UnknownTransport,
    /// No such session.
    UnknownSid,
    /// A session begins with GET.
    BadHandshakeMethod,
    /// It contradicts itself, or its session.
    BadRequest,
    /// It may not begin a session here; with the application's text, if there is one.
    Forbidden(Option<String>),
    /// Its revision is not spoken here.
    UnsupportedVersion,
    /// A session has no use for this method.
    BadMethod,
    /// It came while another of its kind was under way, or carries what can't be read.
    Empty,
    /// Its body is larger than `max_payload`.
    TooLarge,
    /// It is no handshake of a WebSocket, where nothing else is served.
    NoWebSocket,
    /// Its handshake is not that of RFC 6455, section 4.2.1; the text says where.
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

/// The body of a poll's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollBody {
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
}
