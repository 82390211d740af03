//! How the sides of a session part: each is closed in a task of its own, since closing takes a round trip.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::admission::Losses;
use super::driver::Driver;
use super::info::BridgeInfo;
use super::socket::{CLOSE_TIMEOUT, ClientSocket};
use crate::budget::Leaving;
use crate::end::End;
use crate::packet::{Closing, Message, Transport};
use crate::upstream::Link;

impl Driver {
    /// Closes the client's WebSocket. If a drain does, what the client sends before it reads that is passed on first, unless
    /// something still waits for the link.
    pub(super) fn close_socket_later(&mut self, socket: Box<dyn ClientSocket>, end: End, closing: Closing) {
        let losses = self.entry.as_ref().filter(|_| end == End::Drained).map(|entry| entry.losses());
        let last = losses.is_some() && !self.session.has_for_link();
        let link = if last { self.link.take() } else { None };
        let info = Arc::clone(&self.info);
        let held = socket.held() + link.as_ref().map_or(0, |link| link.held());
        let leaving = self.holding.part(held);
        self.info.tracker.spawn(async move {
            let mut parting = Parting { socket, link, info, held: None, lost: 0, leaving };
            let closed = poll_fn(|cx| parting.poll(cx, end, &closing));
            // A client that does not answer has sent what it has sent.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
            let count = parting.lost + usize::from(parting.held.is_some());
            note_losses(
                losses.clone(),
                count,
                "messages of a client were lost when the drain ended its session",
            );
            if let Some(link) = parting.link {
                close_link(link, closing, losses, parting.leaving).await;
            }
        });
    }

    pub(super) fn close_link_later(&mut self, closing: Closing) {
        let Some(link) = self.link.take() else { return };
        let (leaving, losses) = (self.holding.part(link.held()), self.losses.clone());
        self.info.tracker.spawn(async move {
            close_link(link, closing, losses, leaving).await;
        });
    }
}

/// A client's WebSocket that is being closed, and what leads to its backend.
struct Parting {
    socket: Box<dyn ClientSocket>,
    /// `None` if what the client still sends is lost.
    link: Option<Box<dyn Link>>,
    info: Arc<BridgeInfo>,
    /// Waits for room in the link.
    held: Option<Message>,
    lost: usize,
    /// Counts what both still hold.
    leaving: Leaving,
}

impl Parting {
    fn poll(&mut self, cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<()> {
        let polled = self.turn(cx, end, closing);
        let passed_on = self.held.as_ref().map_or(0, Message::len);
        let link = self.link.as_ref().map_or(0, |link| link.held());
        self.leaving.set(self.socket.held() + link + passed_on);
        polled
    }

    fn turn(&mut self, cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<()> {
        loop {
            if let Some(message) = self.held.take() {
                let room = self.link.as_mut().map(|link| link.poll_ready(cx));
                match (room, &mut self.link) {
                    (Some(Poll::Pending), _) => {
                        self.held = Some(message);
                        return self.rest(cx);
                    }
                    (Some(Poll::Ready(Ok(()))), Some(link)) => {
                        let len = message.len() as u64;
                        if link.start_send(message).is_ok() {
                            self.info.from_client(Transport::WebSocket, 1, len);
                        } else {
                            self.lost += 1;
                        }
                    }
                    _ => self.lost += 1,
                }
            }
            match self.socket.poll_close(cx, end, closing) {
                Poll::Ready(Some(message)) => self.held = Some(message),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return self.rest(cx),
            }
        }
    }

    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(link) = &mut self.link {
            // A failure shows when the link is closed.
            let _ = link.poll_flush(cx);
        }
        Poll::Pending
    }
}

async fn close_link(mut link: Box<dyn Link>, closing: Closing, losses: Option<Losses>, mut leaving: Leaving) {
    let closed = poll_fn(|cx| {
        let polled = link.poll_close(cx, &closing);
        // What it had read ahead is dropped at once.
        leaving.set(link.held());
        polled
    });
    let crossed = tokio::time::timeout(CLOSE_TIMEOUT, closed).await.unwrap_or_default();
    note_losses(losses, crossed, "messages of a backend were lost when the drain ended a session");
}

/// Counts messages that were lost after a drain ended the session. Their sender cannot learn of the loss, so it is
/// logged for the operator.
pub(super) fn note_losses(losses: Option<Losses>, messages: usize, what: &'static str) {
    if let Some(losses) = losses.filter(|_| messages > 0) {
        tracing::warn!(messages, "{what}");
        losses.note(messages);
    }
}
