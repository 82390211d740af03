//! How one request is read and answered.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::form::{self, Form};
use super::query::Query;
use super::{json, reply, sse};
use crate::dialect::{
    Framing, Greeting, Part, PollBody, PushForm, Read, Refusal, RequestKind, StreamHead, Written,
};
use crate::frame::Malformed;
use crate::packet::{Message, Packet, Text};
use crate::reply::{Refused, Reply};
use crate::session::{CursorRefused, Ending, Packets};

/// One request of a client's.
#[derive(Clone, Debug)]
pub(super) struct LongPollFraming {
    /// The format in which the client receives messages.
    pub(super) form: Form,
    /// The request's query.
    pub(super) query: Query,
    /// The route's path without its last slash, if the request begins a session.
    pub(super) base: String,
}

impl Framing for LongPollFraming {
    fn greet(&self, _greeting: &Greeting<'_>) -> Option<Packet> {
        None
    }

    fn begun(&self, greeting: &Greeting<'_>) -> Option<Reply> {
        Some(reply::begun(&self.base, greeting.sid))
    }

    /// The body would be lost, and its sender may take it for a message.
    fn refuse_body(&self) -> Option<Reply> {
        Some(reply::wrong(StatusCode::BAD_REQUEST, "a session begins without a body"))
    }

    fn read_push(&self, headers: &HeaderMap) -> Option<PushForm> {
        form::of_push(headers)
    }

    fn push_number(&self) -> Option<u64> {
        self.query.id
    }

    fn decode_push(&self, form: PushForm, body: Bytes) -> Result<Packets, Box<Reply>> {
        let message = match form {
            PushForm::Text => match Text::new(body) {
                Ok(text) => Message::Text(text),
                Err(_) => return Err(Box::new(reply::wrong(StatusCode::BAD_REQUEST, "text is not UTF-8"))),
            },
            PushForm::Binary => Message::Binary(body),
            // Read as text, or not at all.
            PushForm::Form | PushForm::Unknown => return Ok(Box::new(std::iter::empty())),
        };
        Ok(Box::new(std::iter::once(Ok(Packet::Message(message)))))
    }

    fn encode_taken(&self) -> PollBody {
        PollBody {
            status: StatusCode::NO_CONTENT,
            content_type: const { HeaderValue::from_static("") },
            bytes: Bytes::new(),
        }
    }

    fn encode_numbered(&self, batch: &[Packet], last: u64) -> PollBody {
        let after = self.query.after.filter(|_| json::numbered(batch, last).next().is_none());
        let after = after.unwrap_or(last);
        let end = batch.iter().find_map(|packet| match packet {
            Packet::Close(why) => Some(why.as_deref().cloned().unwrap_or_default()),
            Packet::Open(_)
            | Packet::Message(_)
            | Packet::Ping(_)
            | Packet::Pong(_)
            | Packet::Upgrade
            | Packet::Noop => None,
        });
        let (status, bytes) = if let Some(closing) = end {
            (StatusCode::GONE, json::closed(&closing, after).into())
        } else {
            let mut out = Vec::with_capacity(batch.iter().map(json::encoded_len).sum::<usize>() + ANSWER);
            json::write_answer(batch, after, &mut out);
            (StatusCode::OK, out.into())
        };
        PollBody { status, content_type: const { HeaderValue::from_static(reply::JSON) }, bytes }
    }

    fn growth(&self) -> u8 {
        if self.form == Form::Events { LINE } else { 1 }
    }

    fn begin_stream(&self) -> StreamHead {
        let prelude = match self.form {
            Form::Events => Bytes::from_static(sse::PRELUDE.as_bytes()),
            Form::Lines | Form::Json => Bytes::new(),
        };
        StreamHead { content_type: self.form.content_type(), prelude, budget: usize::MAX }
    }

    fn encode_part(&self, batch: &[Packet], last: u64) -> Part {
        let mut out = Vec::with_capacity(batch.iter().map(json::encoded_len).sum::<usize>() + ANSWER);
        match self.form {
            Form::Events => sse::write(batch, last, &mut out),
            Form::Lines | Form::Json => json::write_lines(batch, last, &mut out),
        }
        Part { units: out.len(), bytes: out.into() }
    }

    fn add_headers(&self, _legacy_ie: bool, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(reply::NO_STORE));
        if self.form != Form::Json {
            // Some proxies buffer a response until it has a few kilobytes.
            headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
    }

    fn mark(&self, headers: &mut HeaderMap) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(reply::NO_STORE));
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
            Refusal::Over | Refusal::WrongTransport => reply::not_found(),
            // The newer one replaces the one before, so there is none.
            Refusal::Overlap => reply::wrong(StatusCode::CONFLICT, "another is under way"),
            Refusal::Unreadable => {
                reply::wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no message is of this type")
            }
            Refusal::TooLarge => reply::wrong(StatusCode::PAYLOAD_TOO_LARGE, "larger than max_payload"),
            Refusal::TooSlow => reply::wrong(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"),
            Refusal::Forbidden => reply::wrong(StatusCode::FORBIDDEN, "forbidden origin"),
            Refusal::BadWebSocket(why) => reply::wrong(StatusCode::BAD_REQUEST, why),
        }
    }

    fn refuse_cursor(&self, refused: CursorRefused) -> Reply {
        reply::bad_cursor(self.query.after.unwrap_or_default(), refused)
    }

    fn refuse_gap(&self, expected: u64) -> Reply {
        reply::gap(expected)
    }

    fn refuse_ended(&self, ending: &Ending) -> Reply {
        reply::ended(ending, self.query.after)
    }

    fn translate_refusal(&self, refused: Refused, _kind: RequestKind) -> Reply {
        refused.reply
    }
}

/// A newline, which is measured as two bytes, begins a line with `data: `.
const LINE: u8 = 4;
/// `{"after":1234567890,"messages":[]}`, with room to spare.
const ANSWER: usize = 48;
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
