//! How one request of a transport, or one client's WebSocket, is read and answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::answer::{TEXT, not_found, plain, reply};
use super::elements::{Elements, Unreadable};
use super::frames::{self, Wrapping};
use super::marks::Marks;
use super::path::{Receiver, Sender};
use super::query::{BodyType, Callback, form_field};
use super::settings::{Binary, Settings};
use crate::dialect::{
    Framing, Greeting, Part, PollBody, PushForm, Read, Refusal, RequestKind, StreamHead, Written,
};
use crate::end::End;
use crate::frame::{Frame, Malformed};
use crate::packet::{Closing, Message, Packet, Text};
use crate::reply::{Refused, Reply};
use crate::session::{Ending, Packets};

/// How one request of a transport, or one client's WebSocket, is read and answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SockJsFraming {
    pub(super) role: Role,
    pub(super) marks: Marks,
    /// All headers of a response that carries frames or takes messages, if requests share this framing: to add them one by
    /// one would take three times as long.
    ready: Option<HeaderMap>,
    /// How much one stream carries, in UTF-16 units.
    response_limit: usize,
    /// Whether each message of a client is base64, and binary for the backend.
    takes_base64: bool,
    /// Whether a final refusal of the backend is a close frame.
    closes_refused: bool,
}

/// The purpose of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// To receive.
    Receive(Receiver, Option<Callback>),
    /// To send.
    Send(Sender),
    /// Both.
    WebSocket,
}

impl Role {
    /// Returns what all its responses have, whatever the request is.
    pub(super) fn marks(&self) -> Marks {
        Marks {
            nosniff: matches!(self, Self::Receive(Receiver::Jsonp, _)),
            streams: matches!(self, Self::Receive(receiver, _) if receiver.streams()),
            ..Marks::default()
        }
    }
}

impl SockJsFraming {
    pub(super) const fn new(role: Role, marks: Marks, settings: &Settings) -> Self {
        let takes_base64 = matches!(settings.binary, Binary::Base64Both);
        let Settings { response_limit, closes_refused, .. } = *settings;
        Self { role, marks, ready: None, response_limit, takes_base64, closes_refused }
    }

    /// Creates one that requests share.
    pub(super) fn shared(role: Role, marks: Marks, settings: &Settings) -> Self {
        let framing = Self::new(role, marks, settings);
        let mut ready = HeaderMap::new();
        ready.insert(CONTENT_TYPE, framing.content_type());
        framing.marks.apply(&mut ready);
        Self { ready: Some(ready), ..framing }
    }

    /// Returns a client's messages as its backend receives them; `None` if one is not what the route expects.
    /// Returns what the backend gets; `None` if it is to be base64 and one message is not.
    fn for_backend(&self, messages: Elements) -> Option<Packets> {
        if !self.takes_base64 {
            return Some(Box::new(messages.map(|message| Ok(Packet::Message(message)))));
        }
        // The whole is refused then.
        let is_sound = messages.clone().all(|message| decoded(message).is_some());
        is_sound.then(|| {
            Box::new(messages.filter_map(decoded).map(|message| Ok(Packet::Message(message)))) as Packets
        })
    }

    fn wrapping(&self) -> Wrapping {
        match &self.role {
            Role::Receive(Receiver::EventSource, _) => Wrapping::Events,
            Role::Receive(Receiver::HtmlFile, _) => Wrapping::Scripts,
            Role::Receive(Receiver::Jsonp, Some(callback)) => Wrapping::Call(callback.clone()),
            Role::Receive(Receiver::Xhr | Receiver::XhrStreaming | Receiver::Jsonp, _)
            | Role::Send(_)
            | Role::WebSocket => Wrapping::Lines,
        }
    }

    const fn content_type(&self) -> HeaderValue {
        match self.role {
            Role::Receive(Receiver::Xhr | Receiver::XhrStreaming | Receiver::Jsonp, _) => {
                const { HeaderValue::from_static("application/javascript; charset=UTF-8") }
            }
            // Firefox accepts no other type, not even this one with a charset.
            Role::Receive(Receiver::EventSource, _) => {
                const { HeaderValue::from_static("text/event-stream") }
            }
            Role::Receive(Receiver::HtmlFile, _) => {
                const { HeaderValue::from_static("text/html; charset=UTF-8") }
            }
            Role::Send(_) | Role::WebSocket => const { HeaderValue::from_static(TEXT) },
        }
    }

    /// Adds the headers that every response of the transport has.
    fn marked(&self, mut reply: Reply) -> Reply {
        self.marks.apply(&mut reply.headers);
        reply
    }

    fn fault(&self, status: StatusCode, text: &str) -> Reply {
        self.marked(plain(status, text))
    }
}

impl Framing for SockJsFraming {
    fn greet(&self, _greeting: &Greeting<'_>) -> Option<Packet> {
        Some(Packet::Open(Text::default()))
    }

    fn read_push(&self, headers: &HeaderMap) -> Option<PushForm> {
        Some(match (BodyType::of(headers), &self.role) {
            (BodyType::Other, _) => PushForm::Unknown,
            (BodyType::Form, Role::Send(Sender::Jsonp)) => PushForm::Form,
            (BodyType::Form | BodyType::Text, _) => PushForm::Text,
        })
    }

    fn mends_text(&self) -> bool {
        true
    }

    fn decode_push(&self, form: PushForm, body: Bytes) -> Result<Packets, Box<Reply>> {
        let read = match form {
            PushForm::Unknown | PushForm::Binary => Err(Unreadable::NoPayload),
            PushForm::Text => Elements::of_body(body),
            PushForm::Form => Elements::of_body(form_field(&body)),
        };
        let messages = read.map_err(|why| {
            let text = match why {
                Unreadable::NoPayload => "Payload expected.",
                Unreadable::Broken => "Broken JSON encoding.",
            };
            self.fault(StatusCode::INTERNAL_SERVER_ERROR, text)
        })?;
        let packets = self.for_backend(messages);
        packets.ok_or_else(|| self.fault(StatusCode::INTERNAL_SERVER_ERROR, "Broken base64 encoding.").into())
    }

    fn encode_taken(&self) -> PollBody {
        match self.role {
            Role::Send(Sender::Jsonp) => PollBody { bytes: Bytes::from_static(b"ok"), ..PollBody::default() },
            Role::Send(Sender::Xhr) | Role::Receive(..) | Role::WebSocket => {
                PollBody { status: StatusCode::NO_CONTENT, ..PollBody::default() }
            }
        }
    }

    fn encode_poll(&self, batch: &[Packet]) -> PollBody {
        PollBody {
            status: StatusCode::OK,
            content_type: self.content_type(),
            bytes: self.wrapping().encode(batch),
        }
    }

    fn mark(&self, headers: &mut HeaderMap) {
        self.marks.apply(headers);
    }

    fn growth(&self) -> u8 {
        match self.role {
            Role::Receive(Receiver::EventSource, _) => PERCENT,
            Role::Receive(Receiver::HtmlFile, _) => ANGLE,
            Role::Receive(Receiver::Jsonp, _) => QUOTED,
            Role::Receive(Receiver::Xhr | Receiver::XhrStreaming, _) | Role::Send(_) | Role::WebSocket => 1,
        }
    }

    fn streams(&self) -> bool {
        matches!(self.role, Role::Receive(receiver, _) if receiver.streams())
    }

    fn begin_stream(&self) -> StreamHead {
        let prelude = match &self.role {
            Role::Receive(receiver, callback) => frames::prelude(*receiver, callback.as_ref()),
            Role::Send(_) | Role::WebSocket => Bytes::new(),
        };
        StreamHead { content_type: self.content_type(), prelude, budget: self.response_limit }
    }

    fn encode_part(&self, batch: &[Packet], _last: u64) -> Part {
        let bytes = self.wrapping().encode(batch);
        Part { units: frames::units(&bytes), bytes }
    }

    fn refuse_in_band(&self, refusal: Refusal, ending: Option<&Ending>) -> Option<Closing> {
        match (&self.role, refusal) {
            (Role::Receive(..), Refusal::Overlap) => Some(OCCUPIED),
            (Role::Receive(..), Refusal::Over) => {
                Some(ending.map_or(INTERRUPTED, |ending| ending.closing.clone()))
            }
            _ => None,
        }
    }

    fn end_refused(&self, refused: &Refused) -> Option<Closing> {
        let final_one = self.closes_refused && refused.reply.status.is_client_error();
        final_one.then(|| why_refused(refused))
    }

    fn ready_headers(&self) -> Option<&HeaderMap> {
        self.ready.as_ref()
    }

    fn add_headers(&self, _legacy_ie: bool, headers: &mut HeaderMap) {
        self.marks.apply(headers);
    }

    fn decode_text(&self, text: Text) -> Result<Read, Malformed> {
        let packets = Elements::of_frame(text).ok().and_then(|messages| self.for_backend(messages));
        packets.map(Read::Many).ok_or(Malformed)
    }

    fn decode_binary(&self, bytes: Bytes) -> Result<Read, Malformed> {
        self.decode_text(Text::new(bytes).map_err(|_| Malformed)?)
    }

    fn decode_pong(&self) -> Option<Packet> {
        Some(Packet::Pong(Text::default()))
    }

    fn encode_frame(&self, packet: &Packet) -> Written {
        if matches!(packet, Packet::Ping(_)) {
            return Written::Ping;
        }
        frames::frame(packet).map_or(Written::Nothing, |text| Written::Frame(Frame::Text(text)))
    }

    fn packet_before_close(&self, end: End, closing: &Closing) -> Option<Packet> {
        why_on_web_socket(end, closing).map(|why| Packet::Close(Some(Box::new(why))))
    }

    fn goodbye(&self, end: End, closing: &Closing) -> Closing {
        match end {
            End::ParseError => Closing::new(3000, "Broken framing."),
            // What the client said in its own.
            End::ClientClosed | End::ClientGone => closing.clone(),
            End::PingTimeout
            | End::Overlap
            | End::TooLarge
            | End::UpstreamClosed
            | End::Stalled
            | End::Memory
            | End::Expired
            | End::Drained
            | End::Cut
            | End::TakenOver
            | End::Operator => Closing::new(1000, "Normal closure"),
        }
    }

    fn refuse(&self, refusal: Refusal, _kind: RequestKind) -> Reply {
        match refusal {
            Refusal::Over | Refusal::WrongTransport | Refusal::Overlap => self.marked(not_found()),
            Refusal::Unreadable => self.fault(StatusCode::INTERNAL_SERVER_ERROR, "Payload expected."),
            Refusal::TooLarge => self.fault(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large."),
            Refusal::TooSlow => self.fault(StatusCode::REQUEST_TIMEOUT, "Payload too slow."),
            // Its page is not to read even that.
            Refusal::Forbidden => reply(
                StatusCode::FORBIDDEN,
                [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, super::marks::FRESH)],
                "Forbidden origin.",
            ),
            Refusal::BadWebSocket(why) => self.fault(StatusCode::BAD_REQUEST, why),
        }
    }

    fn translate_refusal(&self, refused: Refused, _kind: RequestKind) -> Reply {
        self.marked(refused.reply)
    }
}

/// Returns the bytes that a message is the base64 of.
fn decoded(message: Message) -> Option<Message> {
    match message {
        Message::Text(text) => Some(Message::Binary(STANDARD.decode(text.as_bytes()).ok()?.into())),
        Message::Binary(_) => Some(message),
    }
}

/// Returns the close frame of a session over HTTP that ended with `end`, after its backend closed with `closing`.
pub(super) fn why(end: End, closing: &Closing) -> Closing {
    match end {
        End::UpstreamClosed => match closing.code {
            None => Closing::new(1000, "Normal closure"),
            // The backend said nothing: it was lost.
            Some(1006) => Closing::new(1006, "Connection lost"),
            Some(_) => Closing { by_packet: false, ..closing.clone() },
        },
        End::Drained | End::Cut | End::TakenOver => Closing::new(1001, "Going away"),
        // One side has stopped reading, which violates no protocol.
        End::Stalled => Closing::new(1013, "Connection stalled"),
        End::Memory => Closing::new(1013, "Out of memory"),
        End::Expired => Closing::new(1008, "Permission expired"),
        End::Operator => Closing::new(1008, "Ended by an operator"),
        End::ClientClosed
        | End::ClientGone
        | End::PingTimeout
        | End::ParseError
        | End::Overlap
        | End::TooLarge => INTERRUPTED,
    }
}

/// Returns the close frame of a session on a WebSocket; nothing if the client has disconnected or sent invalid frames.
fn why_on_web_socket(end: End, closing: &Closing) -> Option<Closing> {
    match end {
        End::ClientClosed | End::ClientGone | End::ParseError => None,
        End::PingTimeout => Some(Closing::new(3000, "No response from heartbeat")),
        End::TooLarge => Some(Closing::new(1009, "Message too large")),
        End::UpstreamClosed
        | End::Drained
        | End::Cut
        | End::TakenOver
        | End::Overlap
        | End::Stalled
        | End::Memory
        | End::Expired
        | End::Operator => Some(why(end, closing)),
    }
}

/// Returns the close frame that says what a status in the 400s says: 401 is 4001.
fn why_refused(refused: &Refused) -> Closing {
    let Reply { status, headers, body } = &refused.reply;
    let is_text = headers.get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let says = is_text && (1..=REASON_LEN_MAX).contains(&text.len());
    let reason = if says { text } else { status.canonical_reason().unwrap_or_default() };
    Closing { reason: reason.to_owned().into(), ..Closing::new(status.as_u16() + 3600, "") }
}

/// A percent sign in an event.
const PERCENT: u8 = 3;
/// The sign that could end a script.
const ANGLE: u8 = 6;
/// A quote, or a backslash of the frame, in a string.
const QUOTED: u8 = 2;
/// The length of a WebSocket's reason (RFC 6455, section 5.5). A longer text is a page.
const REASON_LEN_MAX: usize = 123;

/// The close frame for a receiver while another one is connected.
const OCCUPIED: Closing = Closing::new(2010, "Another connection still open");
/// The protocol's own close frame for a session that ended without a reason.
const INTERRUPTED: Closing = Closing::new(1002, "Connection interrupted");
