//! What was asked and what came: plain data, which `probe` gathers and `judge` reads.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::Value;

use crate::client_options::Dialect;
use crate::codec::engineio::{OpenPacket, Payload, v3};
use crate::packet::{Packet, Text};
use crate::revision::Revision;

/// Everything that was seen. What was not looked at is `None` or empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// A handshake in each version of Engine.IO.
    pub(super) handshakes: Vec<Handshake>,
    /// Requests of sessions, each on a connection of its own.
    pub(super) tries: Vec<Try>,
    /// A poll that waited while a POST gave the server something to answer it with.
    pub(super) push: Option<Push>,
    /// A poll that waits.
    pub(super) idle_poll: Option<Idle>,
    /// A WebSocket that waits.
    pub(super) idle_socket: Option<Idle>,
    /// A WebSocket without a session.
    pub(super) web_socket: Option<Opening>,
    /// The WebSocket of a polling session.
    pub(super) upgrade: Option<Opening>,
    /// Two handshakes with the same URL.
    pub(super) twins: Vec<Handshake>,
    /// A handshake of a client that unpacks nothing.
    pub(super) plain: Option<Exchange>,
    /// POSTs, the largest first, until one is accepted.
    pub(super) posts: Vec<Sized>,
    /// SockJS: what the server says of itself. longpoll: the request that begins a session.
    pub(super) first: Option<Exchange>,
    /// SockJS and longpoll: responses that go on, up to their first frame or line.
    pub(super) streams: Vec<Exchange>,
    /// The headers of every response.
    pub(super) heads: Vec<Head>,
    /// What a page of another origin is told.
    pub(super) cors: Option<Cors>,
    /// What a connection that offers HTTP/2 agreed on; `None` without TLS.
    pub(super) http2: Option<Http2>,
    /// Whether the certificate is trusted, in words if it is not; `None` where only a trusted one is accepted.
    pub(super) certificate: Option<Result<(), &'static str>>,
}

/// Where requests go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) is_secure: bool,
    /// Without a port; IPv6 in brackets.
    pub(super) host: String,
    pub(super) path: String,
    pub(super) dialect: Dialect,
}

impl Target {
    /// Returns the origin of its own pages, whose port matters to no cookie.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", if self.is_secure { "https" } else { "http" }, self.host)
    }
}

/// What a page of another origin is told.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    pub(super) origin: String,
    /// Whether the user names this origin.
    pub(super) is_asked: bool,
    /// Whether clients send headers of their own, which need a preflight.
    pub(super) has_headers: bool,
    pub(super) handshake: Exchange,
    pub(super) preflight: Exchange,
}

/// What became of a TLS connection that offers HTTP/2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Http2 {
    /// The server prefers HTTP/1.1.
    NotOffered,
    /// It is agreed on and not spoken; why.
    Broken(String),
    /// It is spoken, without WebSocket.
    WithoutWebSocket,
    /// It announces WebSocket; what was asked, and whether the open packet came.
    WebSocket { asked: String, opened: Result<(), String> },
}

/// A POST of a certain size.
#[derive(Clone, Debug)]
pub(super) struct Sized {
    pub(super) size: usize,
    pub(super) exchange: Exchange,
}

/// The headers of a response.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) asked: String,
    pub(super) headers: HeaderMap,
    pub(super) packing: Packing,
    /// When they came, by this machine's clock.
    pub(super) at: SystemTime,
}

/// Whether a response could be read with what it says of its compression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packing {
    /// It could.
    Right,
    /// It is still compressed.
    Again,
    /// It is not what it says.
    Wrong,
}

/// A request, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// Method and path, without ids, the user's own query and headers.
    pub(super) asked: String,
    /// From the request to the end of the response, or until it failed.
    pub(super) took: Duration,
    /// The response, as far as it came.
    pub(super) answer: Option<Answer>,
    /// Why the exchange is not complete.
    pub(super) failure: Option<Failure>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Unpacked, and no longer than [`BODY_MAX`].
    pub(super) body: Bytes,
    pub(super) packing: Packing,
    /// From the request to the response's headers.
    pub(super) head_took: Duration,
}

/// Why an exchange failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection, and why.
    #[error("no connection: {0}")]
    Connect(String),
    /// Time is up.
    #[error("no complete response within {0:?}")]
    Late(Duration),
    /// The connection ended before the response was complete.
    #[error("the connection was closed without a complete response")]
    HungUp,
    /// What came is not HTTP.
    #[error("the response is not HTTP: {0}")]
    NotHttp(String),
    /// The response is longer than anybody needs.
    #[error("the response is too long")]
    TooLong,
}

/// An Engine.IO handshake by polling.
#[derive(Clone, Debug)]
pub(super) struct Handshake {
    pub(super) exchange: Exchange,
    /// The version that was answered, and the open packet.
    pub(super) open: Option<(Revision, OpenPacket)>,
}

/// A request of a session on a new connection.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) exchange: Exchange,
    /// Which cookies it brought.
    pub(super) cookies: Cookies,
}

/// Which cookies of the handshake a request brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cookies {
    /// The handshake set none.
    None,
    /// All of them.
    Kept,
    /// None, though the handshake set some.
    LeftOut,
}

/// A poll, and the POST that the server answers by answering the poll.
#[derive(Clone, Debug)]
pub(super) struct Push {
    pub(super) poll: Exchange,
    pub(super) post: Exchange,
    /// From the POST to the poll's response.
    pub(super) waited: Duration,
}

/// A connection on which nothing is said.
#[derive(Clone, Debug)]
pub(super) struct Idle {
    /// Its request, without the id.
    pub(super) asked: String,
    /// When the server would break the silence.
    pub(super) interval: Duration,
    /// How long it was silent at most, without being cut.
    pub(super) silent: Duration,
    pub(super) ended: Ended,
}

/// How an idle connection ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// By us: nothing had happened.
    Still,
    /// With the heartbeat.
    Beat,
    /// By something else, in words.
    Cut(String),
    /// It never began, in words.
    Unborn(String),
}

/// A WebSocket's handshake and its first packet.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) exchange: Exchange,
    /// What `Sec-WebSocket-Accept` must say.
    pub(super) accept: String,
    /// What the WebSocket was for came: the open packet, the pong of a probe or that of a ping. Otherwise why not; `None` if it
    /// never opened.
    pub(super) first: Option<Result<(), String>>,
}

impl Exchange {
    /// Returns the complete response.
    pub(super) fn whole(&self) -> Option<&Answer> {
        self.answer.as_ref().filter(|_| self.failure.is_none())
    }

    /// Returns whether it went as it should.
    pub(super) fn is_success(&self) -> bool {
        self.whole().is_some_and(|answer| answer.status.is_success())
    }

    /// Returns whether something was still to come when time was up.
    pub(super) fn is_late(&self) -> bool {
        matches!(self.failure, Some(Failure::Late(_)))
    }

    /// Returns what came, on one line.
    pub(super) fn came(&self) -> String {
        let after = seconds(self.took);
        let head = self.answer.as_ref().map(|answer| {
            let body = shown(&answer.body);
            let body = if body.is_empty() { String::new() } else { format!(" {body}") };
            format!("{}{body}", answer.status)
        });
        match (head, &self.failure) {
            (Some(head), None) => format!("{head}, after {after}"),
            (Some(head), Some(failure)) => format!("{head}, then {failure}"),
            (None, Some(failure @ Failure::Late(_))) => failure.to_string(),
            (None, Some(failure)) => format!("{failure}, after {after}"),
            (None, None) => "nothing".to_owned(),
        }
    }

    /// Returns what was asked and what came.
    pub(super) fn lines(&self) -> Vec<String> {
        vec![self.asked.clone(), self.came()]
    }

    /// Returns whether the server says that it does not know the session.
    pub(super) fn is_unknown_session(&self) -> bool {
        // An unknown session of SockJS has no such path.
        let is_sockjs = self.asked.ends_with("/xhr_send");
        let knows_not = |answer: &Answer| {
            if is_sockjs && answer.status == StatusCode::NOT_FOUND {
                return true;
            }
            let text = String::from_utf8_lossy(&answer.body);
            answer.status.is_client_error()
                && ["Session ID unknown", "Invalid session", "Unknown session", "no such session"]
                    .iter()
                    .any(|words| text.contains(words))
        };
        self.answer.as_ref().is_some_and(knows_not)
    }
}

impl Answer {
    /// Returns whether it is what SockJS says of itself at `/info`.
    pub(super) fn is_sockjs_info(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body);
        self.status.is_success() && text.contains("\"websocket\"") && text.contains("\"entropy\"")
    }

    /// Returns the id of the session that it begins, if it is a response of longpoll.
    pub(super) fn session(&self) -> Option<String> {
        let json: Value = serde_json::from_slice(&self.body).ok()?;
        let sid = json["session"].as_str().filter(|sid| is_fit(sid) && !sid.contains('/'))?;
        (self.status == StatusCode::CREATED && json["after"].is_u64()).then(|| sid.to_owned())
    }

    /// Returns the number to ask for next, if it is the answer to a poll of longpoll.
    pub(super) fn after(&self) -> Option<u64> {
        let json: Value = serde_json::from_slice(&self.body).ok()?;
        (self.status == StatusCode::OK && json["messages"].is_array()).then(|| json["after"].as_u64())?
    }

    /// Returns a header's values.
    pub(super) fn all(&self, name: &HeaderName) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// Returns the packets of a poll's response; `None` if it has none, or malformed ones.
    pub(super) fn packets(&self, revision: Revision) -> Option<Vec<Packet>> {
        if self.status != StatusCode::OK {
            return None;
        }
        let body = self.body.clone();
        let packets: Result<Vec<Packet>, _> = match revision {
            Revision::V4 => Payload::new(body).take(PACKETS_MAX).collect(),
            Revision::V3 if body.first().is_some_and(|first| *first < b' ') => {
                v3::BinaryPayload::new(body).take(PACKETS_MAX).collect()
            }
            Revision::V3 => v3::TextPayload::new(body, v3::Strings::Plain).take(PACKETS_MAX).collect(),
        };
        packets.ok().filter(|packets| !packets.is_empty())
    }

    /// Returns the open packet of a handshake and its version, which may be another than was asked for.
    pub(super) fn open(&self) -> Option<(Revision, OpenPacket)> {
        [Revision::V4, Revision::V3].into_iter().find_map(|revision| {
            let first = self.packets(revision)?.into_iter().next()?;
            let open = |text: &Text| OpenPacket::decode(text).filter(|open| is_fit(&open.sid));
            if let Packet::Open(text) = first { Some((revision, open(&text)?)) } else { None }
        })
    }
}

/// Returns whether an id can stand in a URL.
fn is_fit(sid: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '&' | '#' | '?' | '"' | '<' | '>' | '%');
    (1..=SID_MAX).contains(&sid.len()) && sid.chars().all(fits)
}

/// Returns a duration as people read it.
pub(super) fn seconds(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

/// Returns the beginning of a body, printable and without ids.
pub(super) fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(SHOWN_MAX * 4)];
    let text = String::from_utf8_lossy(start);
    let text = without_ids(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    let clean: String = text.escape_debug().filter(|c| *c != '\\').take(SHOWN_MAX).collect();
    if clean.chars().count() == SHOWN_MAX || start.len() < body.len() { clean + "..." } else { clean }
}

fn without_ids(text: &str) -> String {
    let mut text = text.to_owned();
    for key in ["\"sid\":\"", "\"session\":\"", "\"url\":\""] {
        if let Some((before, rest)) = text.split_once(key) {
            let after = rest.split_once('"').map_or("", |(_, after)| after);
            text = format!("{before}{key}...\"{after}");
        }
    }
    text
}

/// How a Close frame is told among what came.
pub(super) const CLOSE_FRAME: &str = "a Close frame";
/// How much of a response is read.
pub(super) const BODY_MAX: usize = 64 << 10;
const PACKETS_MAX: usize = 1000;
const SHOWN_MAX: usize = 90;
const SID_MAX: usize = 512;

#[cfg(test)]
pub(super) mod tests;
