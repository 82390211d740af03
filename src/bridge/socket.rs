//! A client's WebSocket as the bridge sees it: packets in, packets out.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::end::End;
use crate::packet::{Closing, Packet};

/// A client's framed socket, whose dialect is already applied. The transport floor implements it.
///
/// Sending is as with a link: ready, send, and after the last of a turn one flush.
pub trait ClientSocket: Send {
    /// Returns whether one more packet can be taken.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>>;

    /// Takes one packet.
    fn start_send(&mut self, packet: Packet) -> Result<(), SocketBroken>;

    /// Writes what was taken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>>;

    /// Polls for the next packet, or why there will be no more.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, SocketEnd>>;

    /// Says goodbye, flushes and waits for the client's answer; the caller bounds the wait. Gives how many messages came
    /// meanwhile: they crossed the goodbye, and nobody takes them.
    fn poll_close(&mut self, cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<usize>;
}

/// The socket takes no more.
#[derive(Debug, thiserror::Error)]
#[error("the client's socket is broken")]
pub struct SocketBroken;

/// Why nothing more comes from a client's socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketEnd {
    /// What it means for the session.
    pub end: End,
    /// The code and reason that the client gave, if it closed.
    pub closing: Option<Closing>,
}

/// Closes a socket that no session took: without a code, as the reference does.
pub async fn turn_away(mut socket: Box<dyn ClientSocket>) {
    let closing = Closing::default();
    let closed = std::future::poll_fn(|cx| socket.poll_close(cx, End::ClientClosed, &closing));
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
}

/// The longest wait for a peer to answer a close.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
