//! A complete HTTP response that belongs to no session: ours, or a backend's to be passed on.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// A complete response that belongs to no session.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, including the body's type; no hop-by-hop headers.
    pub headers: HeaderMap,
    /// The body, often empty. A backend's is truncated at 64 KiB.
    pub body: Bytes,
}

/// A backend's refusal of a handshake, to be passed to the client.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The response. Its status is one of [`STATUSES`](Self::STATUSES).
    pub reply: Reply,
    /// What kind of server refused.
    pub by: Refuser,
}

impl Refused {
    /// The statuses of a refusal or of a redirection. Any other status except 101 is no answer to a handshake.
    pub const STATUSES: Range<u16> = 300..600;

    /// Returns the reason in a form that another proxy can pass on.
    pub fn reason(&self) -> String {
        match self.by {
            // Such a server sends no text if it forbids, but the other side could not know that.
            Refuser::EngineIo3 if self.reply.body.is_empty() => "Forbidden".to_owned(),
            Refuser::EngineIo | Refuser::EngineIo3 | Refuser::Other => {
                String::from_utf8_lossy(&self.reply.body).into_owned()
            }
        }
    }

    /// Returns whether the reason is one of Engine.IO's own texts.
    pub fn is_told_in_text(&self) -> bool {
        self.by != Refuser::Other
    }
}

/// What kind of server refuses, which decides how the text is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refuser {
    /// An Engine.IO server: the bare text of its 400 is one of the protocol's errors.
    EngineIo,
    /// A server of Engine.IO 3: the same, and if its application forbids, there is no text.
    EngineIo3,
    /// Any other server.
    Other,
}
