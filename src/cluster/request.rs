//! One request on a connection between two nodes, as one of the two sees it.

use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use crate::budget::Charge;
use crate::duplex::Receipt;
use crate::meter::Traffic;
use crate::peer::{Frame, Head, Number, Receiving, Sending};

/// A request as one of the two nodes sees it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Default)]
pub(super) struct Request {
    pub(super) sending: Sending<Receipt>,
    pub(super) in_turn: bool,
    pub(super) receiving: Receiving,
    pub(super) head: Option<Box<Head>>,
    pub(super) is_stopped: bool,
    /// Whether the asker wants a response now, because it stops.
    pub(super) is_released: bool,
    /// Whether nobody here reads on: what is left are the receipts of what was read.
    pub(super) is_let_go: bool,
    /// Whether it is a stream behind a 101: it goes on until it is dropped.
    pub(super) is_stream: bool,
    /// What lets the stream go, if the asker stops.
    pub(super) let_go: Option<LetGo>,
    /// What is said once everything was sent, because the stream was dropped.
    pub(super) parting: Option<Stop>,
    /// Who waits for a header, a piece or the end.
    pub(super) reader: Option<Waker>,
    /// Who waits for room.
    pub(super) writer: Option<Waker>,
    /// Who waits for the end of the request alone.
    pub(super) watcher: Option<Waker>,
    /// Counts what waits of its bodies, once anything has.
    charge: Option<Charge>,
}

/// What is done if the asker's way to the client of a stream ends.
pub type LetGo = Box<dyn FnOnce() + Send>;

/// The request ended before its response was complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stopped {
    /// The other node stopped it.
    Told,
    /// The connection broke: nobody knows what the client saw.
    Broken,
}

/// How a request is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// The asker needs no response.
    Gone,
    /// The owner has none, or not the rest.
    Lost,
}

impl Stop {
    pub(super) fn write(self, number: Number, out: &mut BytesMut) {
        match self {
            Self::Gone => Frame::Gone(number).write(out),
            Self::Lost => Frame::Lost(number).write(out),
        }
    }
}

impl Request {
    /// Returns whether the asker needs it no more.
    pub(super) const fn is_over(&self) -> bool {
        self.is_let_go && self.receiving.is_over()
    }

    /// Counts what waits of its bodies, after a change.
    pub(super) fn count(&mut self, traffic: &Traffic) {
        let held = usize::try_from(self.receiving.held() + self.sending.held()).unwrap_or(usize::MAX);
        if held > 0 || self.charge.is_some() {
            self.charge.get_or_insert_with(|| traffic.charge()).set(held);
        }
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn wake(&mut self) {
        // Most often there is none, or one.
        for waker in [&mut self.reader, &mut self.writer, &mut self.watcher] {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

/// Forgotten, it has nothing more for those who wait, such as for the rest of a body that nobody needs: they must hear it.
impl Drop for Request {
    fn drop(&mut self) {
        self.wake();
    }
}

/// Has the task woken later.
pub(super) fn wait<T>(waker: &mut Option<Waker>, cx: &Context<'_>) -> Poll<T> {
    if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
    Poll::Pending
}
