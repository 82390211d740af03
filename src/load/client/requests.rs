//! The HTTP requests of a session in one dialect, and how it reads their responses. Pure:
//! [`Polling`](super::polling::Polling) sends them.

use std::fmt;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;

use crate::codec::engineio::OpenPacket;
use crate::load::fault::Fault;
use crate::load::net::{Answer, Head};
use crate::packet::{Message, Packet, Text};

/// One session's requests.
pub(super) trait Requests: Send + fmt::Debug {
    /// Returns the request that begins a session, or the next of several.
    fn begin(&mut self, head: &Head) -> Request<Full<Bytes>>;

    /// Reads the response to it, or a part of the response. `None` if the session has not begun yet.
    fn handle_begun(&mut self, answer: Answer) -> Result<Option<Begun>, Fault>;

    /// Returns the request that receives. If the session [streams](Self::streams), its response continues.
    fn receive(&mut self, head: &Head) -> Request<Full<Bytes>>;

    /// Reads the response to it, or a part of the response.
    fn handle_received(&mut self, answer: Answer) -> Result<Vec<Result<Packet, Fault>>, Fault>;

    /// Returns whether responses to receiving requests, the first included, are read as they arrive.
    fn streams(&self) -> bool {
        false
    }

    /// Returns how many messages one request may carry.
    fn batch_max(&self) -> usize {
        usize::MAX
    }

    /// Sends packets.
    fn send(&mut self, head: &Head, packets: &[Packet]) -> Request<Full<Bytes>>;

    /// Reads the response to it.
    fn handle_sent(&mut self, answer: &Answer) -> Result<(), Fault>;

    /// Returns the request that says goodbye after these packets. `None` if a client just disconnects.
    fn end(&mut self, head: &Head, goodbye: &[Packet]) -> Option<Request<Full<Bytes>>>;

    /// Returns the open packet's part in an upgrade: whether one is offered, and the session's id.
    fn offers_upgrade(&self) -> Option<&str> {
        None
    }
}

/// A session that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// The server's open packet.
    pub(super) open: Option<OpenPacket>,
    /// The packets that followed it.
    pub(super) packets: Vec<Result<Packet, Fault>>,
}

/// Demands a status.
pub(super) fn expect(what: &'static str, status: StatusCode, answer: &Answer) -> Result<(), Fault> {
    if answer.status == status {
        return Ok(());
    }
    Err(Fault::Status { what, status: answer.status, body: shown(&answer.body) })
}

/// Returns the text of a message.
pub(super) const fn text_of(packet: &Packet) -> Option<&Text> {
    if let Packet::Message(Message::Text(text)) = packet { Some(text) } else { None }
}

/// Returns a request's method and path, as it is named in an error.
pub(super) fn line_of<B>(request: &Request<B>) -> String {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    format!("{} {path}", request.method())
}

/// Returns the beginning of an unexpected body.
pub(super) fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(SHOWN_MAX)];
    let rest = if start.len() < body.len() { "..." } else { "" };
    format!("{}{rest}", String::from_utf8_lossy(start).escape_debug())
}

const SHOWN_MAX: usize = 80;
