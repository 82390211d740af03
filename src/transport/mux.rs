//! One session of a multiplexed connection that another proxy opened. To its bridge it is a client's WebSocket.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::bridge::{ClientSocket, SocketBroken, SocketEnd};
use crate::dialect::Framing as _;
use crate::dialect::websocket::PlainFraming;
use crate::end::End;
use crate::mux::{Id, Notice};
use crate::packet::{Closing, Message, Packet};
use crate::trunk::{Over, Trunk};

/// The client's side of a session.
#[derive(Debug)]
pub struct MuxSocket {
    trunk: Arc<Trunk>,
    id: Id,
    /// The largest message that the client may send, in bytes.
    max_payload: usize,
}

impl MuxSocket {
    /// Creates the client's side of a session that is about to be admitted.
    pub const fn new(trunk: Arc<Trunk>, id: Id) -> Self {
        Self { trunk, id, max_payload: 0 }
    }

    /// Sets the largest message that the client may send, in bytes.
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
        // Heartbeats are the task of the proxy that faces the client.
        if let Packet::Message(message) = packet {
            self.trunk.send(self.id, message);
        }
        Ok(())
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        // The pump flushes once for all sessions.
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, SocketEnd>> {
        Poll::Ready(match ready!(self.trunk.poll_next(self.id, cx)) {
            Notice::Message(message) if message.len() > self.max_payload => {
                Err(SocketEnd { end: End::TooLarge, closing: None })
            }
            Notice::Message(message) => Ok(Packet::Message(message)),
            Notice::Closed(closing) => {
                // A code that says so cannot be passed on: the backend is told as it is of any client that vanished.
                let is_gone = closing.code == Some(ABNORMAL);
                Err(if is_gone {
                    SocketEnd { end: End::ClientGone, closing: None }
                } else {
                    SocketEnd { end: End::ClientClosed, closing: Some(closing) }
                })
            }
        })
    }

    /// The line counts what waits in it.
    fn held(&self) -> usize {
        0
    }

    fn shared(&self) -> usize {
        self.trunk.held(self.id)
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<Option<Message>> {
        self.trunk.close(self.id, PlainFraming.goodbye(end, closing));
        Poll::Ready(None)
    }
}

/// Closes the session if it is dropped without being closed.
impl Drop for MuxSocket {
    fn drop(&mut self) {
        self.trunk.close(self.id, Closing::new(1001, "going away"));
    }
}

/// The code for a connection that broke (RFC 6455, section 7.4.1).
const ABNORMAL: u16 = 1006;
