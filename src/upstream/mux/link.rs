//! A session's back side on a shared connection.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::mux::{Id, Notice};
use crate::packet::{Closing, Message, Transport};
use crate::trunk::{Over, Trunk};
use crate::upstream::address::Place;
use crate::upstream::{Link, LinkError, LinkEvent};

/// One session of a trunk.
#[derive(Debug)]
pub(super) struct MuxLink {
    trunk: Arc<Trunk>,
    id: Id,
    /// Counts it, if the number of sessions is limited.
    _place: Option<Box<Place>>,
}

impl MuxLink {
    pub(super) const fn new(trunk: Arc<Trunk>, id: Id, place: Option<Box<Place>>) -> Self {
        Self { trunk, id, _place: place }
    }
}

impl Link for MuxLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.trunk.poll_ready(self.id, cx).map_err(|Over| LinkError)
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        // It waits until it is acknowledged, and would keep the buffer that its request was read into from the next one.
        self.trunk.send(self.id, message.detached());
        Ok(())
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // The pump flushes, once for all sessions.
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        Poll::Ready(match ready!(self.trunk.poll_next(self.id, cx)) {
            Notice::Message(message) => LinkEvent::Message(message),
            Notice::Closed(closing) => LinkEvent::Closed(closing),
        })
    }

    /// The line counts what waits in it.
    fn held(&self) -> usize {
        0
    }

    fn shared(&self) -> usize {
        self.trunk.held(self.id)
    }

    /// Does nothing: a session that is not read uses up its credit, which says as much.
    fn keep_alive(&mut self) {}

    fn handle_transport(&mut self, transport: Transport) {
        self.trunk.move_to(self.id, transport);
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>, closing: &Closing) -> Poll<usize> {
        // The line keeps what is pending, and the close after it.
        self.trunk.close(self.id, closing.clone());
        Poll::Ready(0)
    }
}

/// The client gave up, or the driver panicked.
impl Drop for MuxLink {
    fn drop(&mut self) {
        self.trunk.close(self.id, Closing::new(1001, "client gone"));
    }
}
