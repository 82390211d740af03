//! What a session asks over HTTP in one dialect, and how it reads what comes back. Pure:
//! [`Polling`](super::polling::Polling) carries it.

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
    /// Returns the request that leads to a session, or the next of several.
    fn begin(&mut self, head: &Head) -> Request<Full<Bytes>>;

    /// Reads the answer to it, or a part of that. `None` where the session has not begun yet.
    fn handle_begun(&mut self, answer: Answer) -> Result<Option<Begun>, Fault>;

    /// Asks for what the server has to say. Where the session [streams](Self::streams), the answer goes on.
    fn receive(&mut self, head: &Head) -> Request<Full<Bytes>>;

    /// Reads what came, or a part of it.
    fn handle_received(&mut self, answer: Answer) -> Result<Vec<Result<Packet, Fault>>, Fault>;

    /// Returns whether the answers to requests that receive, the first included, are read as they come.
    fn streams(&self) -> bool {
        false
    }

    /// Returns how many messages one request may carry.
    fn batch_max(&self) -> usize {
        usize::MAX
    }

    /// Sends packets.
    fn send(&mut self, head: &Head, packets: &[Packet]) -> Request<Full<Bytes>>;

    /// Reads the answer to that.
    fn handle_sent(&mut self, answer: &Answer) -> Result<(), Fault>;

    /// Says goodbye, behind these packets. `None` where a client only goes away.
    fn end(&mut self, head: &Head, goodbye: &[Packet]) -> Option<Request<Full<Bytes>>>;

    /// Returns the open packet's part in an upgrade: whether one is offered, and the session's id.
    fn offers_upgrade(&self) -> Option<&str> {
        None
    }
}

/// A session has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// What its server announced.
    pub(super) open: Option<OpenPacket>,
    /// What came behind that.
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

/// Returns the beginning of what came in the place of something else.
pub(super) fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(SHOWN_MAX)];
    String::from_utf8_lossy(start).escape_debug().to_string()
}

const SHOWN_MAX: usize = 80;
