//! `lines`: the example of "Write a dialect" in CONTRIBUTING.md, which quotes this file. It is compiled for tests alone,
//! and `service/gateway/tests/lines.rs` runs it.
//!
//! ```text
//! POST   /x      201, the new session's id    begins a session
//! GET    /x/ID   200, each message on a line  waits until there is one
//! POST   /x/ID   200, empty                   each line of the body is a message
//! DELETE /x/ID   200, empty                   ends the session
//! ```
//!
//! It is a toy: a backend's message that contains a newline reaches the client as two.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::table::Kind;
use super::{
    Act, Answered, Ask, Beginning, Dialect, Framing, Greeting, Identity, Intent, Operation, Place, PollBody,
    PushForm, Read, Refusal, Request, RequestKind, Subprotocol, Written,
};
use crate::frame::Malformed;
use crate::packet::{Message, Packet, Text, Transport};
use crate::reply::{Refused, Reply};
use crate::session::{Acks, Binary, HangUp, Liveness, Packets, Pinger, Policy, Pushes, Second, Terms};

/// The row for the table of dialects.
pub const KIND: Kind = Kind {
    name: "lines",
    takes_base: true,
    keys: &[],
    idle: &[],
    build: |_settings, _backend| Arc::new(Lines),
};

/// The dialect `lines` of one route.
#[derive(Debug)]
struct Lines;

impl Dialect for Lines {
    fn name(&self) -> &'static str {
        KIND.name
    }

    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        let &Request { head, path, .. } = request;
        let id = path.strip_prefix('/').unwrap_or(path);
        let operation = match (&head.method, id.is_empty()) {
            (&Method::POST, true) => return Ok(Ask::Begin(Box::new(beginning("")))),
            (&Method::GET, false) => Operation::Poll,
            (&Method::POST, false) => Operation::Push,
            (&Method::DELETE, false) => Operation::Leave,
            _ => return Err(reply(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n").into()),
        };
        Ok(Ask::Session(Cow::Borrowed(id), Intent { operation, transport: Transport::Polling, version: 0 }))
    }

    fn judge(&self, intent: Intent, place: &Place<'_>, _: &Request<'_>) -> Result<Act, Box<Answered>> {
        let framing = Arc::new(LineFraming);
        match (place, intent.operation) {
            (Place::Here(_), Operation::Poll) => Ok(Act::Poll(framing, Terms::default())),
            (Place::Here(_), Operation::Push) => Ok(Act::Push(framing)),
            (Place::Here(_), Operation::Leave) => Ok(Act::Leave(framing)),
            _ => Err(framing.refuse(Refusal::Over, RequestKind::Http).into()),
        }
    }

    fn refuse_unknown(&self, _intent: Intent, kind: RequestKind) -> Box<Answered> {
        LineFraming.refuse(Refusal::Over, kind).into()
    }

    fn begin(&self, query: &str) -> Option<Beginning> {
        Some(beginning(query))
    }
}

/// Returns a session before its backend is asked.
fn beginning(query: &str) -> Beginning {
    Beginning {
        transport: Transport::Polling,
        framing: Arc::new(LineFraming),
        policy: POLICY.into(),
        identity: Identity::Ours,
        cookie: None,
        query: query.to_owned(),
        keeps_path: false,
        subprotocol: Subprotocol::Clients,
        pace: None,
        revision: None,
        may_relay: false,
    }
}

const POLICY: Policy = Policy {
    hang_up: HangUp::Returns,
    second: Second::Replaces,
    acks: Acks::OnWrite,
    pushes: Pushes::Queued,
    pinger: Pinger::Nobody(Liveness {
        beat: Duration::from_secs(25),
        absence: Duration::from_mins(1),
        is_heard: true,
    }),
    crossing: Duration::ZERO,
    echoes: Duration::ZERO,
    piggyback: None,
    goodbye_waiting: &[Packet::Close(None)],
    goodbye_late: &[Packet::Close(None)],
    why: None,
    remembered: Duration::ZERO,
    binary: Binary::Crosses,
    replaced: &[Packet::Noop],
    encoded_len: |packet| packet.len() + 1,
};

/// How every request is read and answered.
#[derive(Debug)]
struct LineFraming;

impl Framing for LineFraming {
    fn greet(&self, _greeting: &Greeting<'_>) -> Option<Packet> {
        None
    }

    fn begun(&self, greeting: &Greeting<'_>) -> Option<Reply> {
        Some(reply(StatusCode::CREATED, format!("{}\n", greeting.sid)))
    }

    fn read_push(&self, _headers: &HeaderMap) -> Option<PushForm> {
        Some(PushForm::Text)
    }

    fn decode_push(&self, _form: PushForm, body: Bytes) -> Result<Packets, Box<Reply>> {
        let mut rest =
            Text::new(body).map_err(|_| Box::new(reply(StatusCode::BAD_REQUEST, "not UTF-8\n")))?;
        Ok(Box::new(std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let line = match memchr::memchr(b'\n', rest.as_bytes()) {
                Some(end) => {
                    let (line, after) = rest.split_around(end);
                    rest = after;
                    line
                }
                None => std::mem::take(&mut rest),
            };
            Some(Ok(Packet::Message(Message::Text(line))))
        })))
    }

    fn encode_poll(&self, batch: &[Packet]) -> PollBody {
        let mut lines = Vec::new();
        let mut status = StatusCode::OK;
        for packet in batch {
            match packet {
                Packet::Message(Message::Text(text)) => lines.extend([text.as_bytes(), &b"\n"[..]].concat()),
                Packet::Message(Message::Binary(bytes)) => lines.extend([bytes, &b"\n"[..]].concat()),
                Packet::Close(_) => status = StatusCode::GONE,
                // A poll that ends with one of these is empty, and the client sends the next.
                Packet::Open(_) | Packet::Ping(_) | Packet::Pong(_) | Packet::Upgrade | Packet::Noop => {}
            }
        }
        PollBody { status, bytes: lines.into(), ..PollBody::default() }
    }

    fn decode_text(&self, _text: Text) -> Result<Read, Malformed> {
        Err(Malformed)
    }

    fn decode_binary(&self, _bytes: Bytes) -> Result<Read, Malformed> {
        Err(Malformed)
    }

    fn encode_frame(&self, _packet: &Packet) -> Written {
        Written::Nothing
    }

    fn refuse(&self, refusal: Refusal, _kind: RequestKind) -> Reply {
        match refusal {
            Refusal::Over | Refusal::WrongTransport => reply(StatusCode::NOT_FOUND, "no such session\n"),
            Refusal::Overlap => reply(StatusCode::CONFLICT, "another is pending\n"),
            Refusal::Unreadable => reply(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not text\n"),
            Refusal::TooLarge => reply(StatusCode::PAYLOAD_TOO_LARGE, "larger than max_payload\n"),
            Refusal::TooSlow => reply(StatusCode::REQUEST_TIMEOUT, "too slow\n"),
            Refusal::Forbidden => reply(StatusCode::FORBIDDEN, "forbidden origin\n"),
            Refusal::BadWebSocket(why) => reply(StatusCode::BAD_REQUEST, why),
        }
    }

    fn translate_refusal(&self, refused: Refused, _kind: RequestKind) -> Reply {
        refused.reply
    }
}

fn reply(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    Reply { status, headers: HeaderMap::new(), body: body.into() }
}
