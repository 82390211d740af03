//! How a client gets its messages, and what the requests and responses for that look like.

use anyhow::{Context as _, ensure};

use crate::words::PACKET;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receiver {
    /// A poll of Engine.IO.
    EngineIo,
    /// A poll of SockJS.
    Xhr,
    /// A stream of SockJS.
    EventSource,
}

impl Receiver {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::EngineIo => "an Engine.IO poll",
            Self::Xhr => "a SockJS poll (xhr)",
            Self::EventSource => "a SockJS stream (eventsource)",
        }
    }

    /// Returns the method and the target of the request that begins a session.
    pub(crate) fn begin(self, number: usize) -> (&'static str, String) {
        match self {
            Self::EngineIo => ("GET", format!("/socket.io/?EIO=4&transport=polling&n={number}")),
            Self::Xhr => ("POST", sockjs(number, "xhr")),
            Self::EventSource => ("GET", sockjs(number, "eventsource")),
        }
    }

    /// Returns the targets of its polls and POSTs, of which the first depends on how the session has begun.
    pub(crate) fn follow(self, number: usize, begun: &[u8]) -> anyhow::Result<[String; 2]> {
        let begun = String::from_utf8_lossy(begun);
        if self == Self::EngineIo {
            let sid = begun.split_once("\"sid\":\"").and_then(|(_, rest)| rest.split_once('"'));
            let (sid, _) = sid.with_context(|| format!("no sid in {begun}"))?;
            let path = format!("/socket.io/?EIO=4&transport=polling&t=PabcDEF&sid={sid}");
            return Ok([path.clone(), path]);
        }
        ensure!(begun.trim_end().ends_with('o'), "no open frame: {begun}");
        Ok([sockjs(number, "xhr"), sockjs(number, "xhr_send")])
    }

    pub(crate) const fn is_stream(self) -> bool {
        matches!(self, Self::EventSource)
    }

    /// Returns what brings one message: a response's body, or a stream's chunk.
    pub(crate) const fn message(self) -> &'static [u8] {
        match self {
            Self::EngineIo => PACKET.as_bytes(),
            Self::Xhr => b"a[\"0123456789abcdef0123456789abcdef\"]\n",
            Self::EventSource => b"data: a[\"0123456789abcdef0123456789abcdef\"]\r\n\r\n",
        }
    }

    /// Returns the body of a POST of one message.
    pub(crate) const fn post(self) -> &'static str {
        match self {
            Self::EngineIo => PACKET,
            Self::Xhr | Self::EventSource => "[\"0123456789abcdef0123456789abcdef\"]",
        }
    }

    /// Returns whether the response to a POST with this body says that the message was taken.
    pub(crate) fn is_taken(self, body: &[u8]) -> bool {
        // SockJS's is a 204; Pushpin's is not.
        body == b"ok" || self != Self::EngineIo && body.is_empty()
    }
}

/// Returns the target of a request; the client makes the session's id.
fn sockjs(number: usize, transport: &str) -> String {
    format!("/sockjs/000/s{number:07}/{transport}?n={number}")
}
