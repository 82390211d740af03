//! One session of a multiplexed connection that somebody else has dialled: to its bridge it is a client's WebSocket.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::bridge::{ClientSocket, SocketBroken, SocketEnd};
use crate::dialect::Framing as _;
use crate::dialect::websocket::PlainFraming;
use crate::end::End;
use crate::mux::{Id, Notice};
use crate::packet::{Closing, Packet};
use crate::trunk::{Over, Trunk};

/// A session's front.
#[derive(Debug)]
pub struct MuxSocket {
    trunk: Arc<Trunk>,
    id: Id,
    /// The largest message that the client may send, in bytes.
    max_payload: usize,
}

impl MuxSocket {
    /// Creates the front of a session that is to be let in.
    pub const fn new(trunk: Arc<Trunk>, id: Id) -> Self {
        Self { trunk, id, max_payload: 0 }
    }

    /// Returns the same, for messages of up to so many bytes.
    #[must_use]
    pub const fn with_max_payload(mut self, max_payload: usize) -> Self {
        self.max_payload = max_payload;
        self
    }
}

impl ClientSocket for MuxSocket {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        self.trunk.poll_ready(self.id, cx).map_err(|Over| SocketBroken)
    }

    fn start_send(&mut self, packet: Packet) -> Result<(), SocketBroken> {
        // Heartbeats stay with the proxy that faces the client.
        if let Packet::Message(message) = packet {
            self.trunk.send(self.id, message);
        }
        Ok(())
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        // The pump flushes, once for all sessions.
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, SocketEnd>> {
        Poll::Ready(match ready!(self.trunk.poll_next(self.id, cx)) {
            Notice::Message(message) if message.len() > self.max_payload => {
                Err(SocketEnd { end: End::TooLarge, closing: None })
            }
            Notice::Message(message) => Ok(Packet::Message(message)),
            Notice::Closed(closing) => {
                let end = if closing.code == Some(ABNORMAL) { End::ClientGone } else { End::ClientClosed };
                Err(SocketEnd { end, closing: Some(closing) })
            }
        })
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<usize> {
        self.trunk.close(self.id, PlainFraming.goodbye(end, closing));
        Poll::Ready(0)
    }
}

/// Closes the session if its user drops it without closing it.
impl Drop for MuxSocket {
    fn drop(&mut self) {
        self.trunk.close(self.id, Closing::new(1001, "going away"));
    }
}

/// The connection broke (RFC 6455, section 7.4.1).
const ABNORMAL: u16 = 1006;
