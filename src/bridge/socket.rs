//! A client's WebSocket as the bridge sees it: a source and sink of packets.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::end::End;
use crate::packet::{Closing, Message, Packet};

/// A client's framed socket, with its dialect already applied. The transport layer implements it.
///
/// Sending works as on a link: poll for readiness, send, and flush once after a turn's last packet.
pub trait ClientSocket: Send {
    /// Polls until one more packet can be sent.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>>;

    /// Returns the end of a session whose socket can send no more.
    fn broken(&mut self) -> End {
        End::ClientGone
    }

    /// Sends one packet.
    fn start_send(&mut self, packet: Packet) -> Result<(), SocketBroken>;

    /// Writes what was sent.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>>;

    /// Polls for the next packet, or the reason why none will follow.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, SocketEnd>>;

    /// Sets the length of the largest message, from the next one on. A candidate for an upgrade may only send short ones.
    fn set_message_max(&mut self, _len_max: usize) {}

    /// Returns how many bytes wait in buffers of its own.
    fn held(&self) -> usize;

    /// Returns how many bytes of its session wait on a connection that it shares with others, which counts them itself.
    fn shared(&self) -> usize {
        0
    }

    /// Sends a goodbye, flushes it and waits for the client's Close; the caller bounds the wait. Returns the next message
    /// that crosses the goodbye, or `None` once nothing more can be done.
    fn poll_close(&mut self, cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<Option<Message>>;
}

/// The socket can send no more.
#[derive(Debug, thiserror::Error)]
#[error("the client's socket is broken")]
pub struct SocketBroken;

/// Why a client's socket delivers no more packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketEnd {
    /// The resulting end of the session.
    pub end: End,
    /// The code and reason that the client sent, if it closed.
    pub closing: Option<Closing>,
}

/// Closes a socket that no session accepted, without a code, as the reference server does.
pub async fn turn_away(socket: Box<dyn ClientSocket>) {
    close(socket, End::ClientClosed, Closing::default()).await;
}

/// Closes a socket whose session its backend refused, as if the backend had accepted it and closed it with this.
pub async fn close_refused(socket: Box<dyn ClientSocket>, closing: Closing) {
    close(socket, End::UpstreamClosed, closing).await;
}

async fn close(mut socket: Box<dyn ClientSocket>, end: End, closing: Closing) {
    let closed = std::future::poll_fn(|cx| {
        // No session takes what the client has sent.
        while ready!(socket.poll_close(cx, end, &closing)).is_some() {}
        Poll::Ready(())
    });
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
}

/// How long a peer may take to answer a Close.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
