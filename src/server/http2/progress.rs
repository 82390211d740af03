//! How a client takes a response.
//!
//! A client can read the socket and still take nothing of one response: it opens no window for that stream. Then
//! nothing polls the response's body, so the bytes themselves show how they move.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::duplex::{Ahead, Heads, Patience, Room, StreamTerms, Writer, WrittenAhead};

/// How a client takes one response.
#[derive(Debug)]
pub(super) struct Progress {
    /// How long it may take nothing.
    patience: Patience,
    behind: Behind,
    /// Told what hyper takes of the response to write it.
    written_ahead: WrittenAhead,
    state: Mutex<State>,
}

/// Counts the responses of a connection of which its client has something to take. Mostly it is none, and then no stream
/// needs to be looked at.
#[derive(Clone, Default, Debug)]
pub(super) struct Behind(Arc<AtomicUsize>);

impl Behind {
    /// Returns whether there is none.
    pub(super) fn is_nobody(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[derive(Debug, Default)]
struct State {
    /// How many pieces hyper has that the client has not taken in full.
    pieces: usize,
    /// Since when the client has taken nothing of them.
    since: Option<Instant>,
    /// Whether the response is counted in [`Behind`].
    is_behind: bool,
    /// Whether the request has become a byte stream, which has a patience of its own while it is held.
    is_detached: bool,
    /// Since when nobody holds the byte stream any more: hyper still writes what is left.
    left_since: Option<Instant>,
    /// Woken once everything is taken, or the byte stream is left.
    waker: Option<Waker>,
    /// What the byte stream writes counts until hyper is done with it, too.
    writer: Option<Arc<Writer>>,
}

/// What the owner of a byte stream holds.
#[derive(Debug)]
struct Held(Arc<Progress>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Progress {
    /// Creates it; `behind` counts it while there is something to take.
    pub(super) fn new(patience: Patience, behind: Behind, written_ahead: WrittenAhead) -> Arc<Self> {
        Arc::new(Self { patience, behind, written_ahead, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the count of what the connection has taken of headers and not written.
    pub(super) fn heads(&self) -> &Heads {
        self.written_ahead.heads()
    }

    /// Notes that hyper takes the response's header, or its trailers.
    pub(super) fn took_head(&self, headers: &HeaderMap) {
        self.heads().took(Heads::len_of(headers), &self.patience);
    }

    /// Returns when the client will have taken nothing for too long; `None` while there is nothing to take.
    pub(super) fn stalled_at(&self) -> Option<Instant> {
        let since = self.state().behind_since();
        Some(since? + self.patience.limit())
    }

    /// Counts the response, or does so no more, after a change.
    fn recount(&self, state: &mut State) {
        let is_behind = state.behind_since().is_some();
        if is_behind == state.is_behind {
            return;
        }
        state.is_behind = is_behind;
        // Only the connection's task looks, and only it lets anybody get behind: all but the owner of a byte stream, whose
        // wake-up comes after this.
        if is_behind {
            self.behind.0.fetch_add(1, Ordering::Relaxed);
        } else {
            self.behind.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Returns the terms of the byte stream that the request may become.
    pub(super) fn terms(progress: &Arc<Self>, ahead: &Ahead) -> StreamTerms {
        let (reader, writer) = (Arc::new(ahead.read.reader()), Arc::new(ahead.written.writer()));
        progress.state().writer = Some(Arc::clone(&writer));
        let held = Arc::new(Held(Arc::clone(progress)));
        StreamTerms { patience: progress.patience.clone(), held, reader, writer }
    }

    /// Notes that the request has become a byte stream.
    pub(super) fn detach(&self) {
        let mut state = self.state();
        state.is_detached = true;
        self.recount(&mut state);
    }

    fn leave(&self) {
        let mut state = self.state();
        state.left_since = Some(Instant::now());
        self.recount(&mut state);
        let waker = state.waker.take().filter(|_| state.is_detached);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Has the task woken when a byte stream is left.
    pub(super) fn await_leave(&self, cx: &mut Context<'_>) {
        let mut state = self.state();
        if state.is_detached && state.left_since.is_none() {
            state.waker = Some(cx.waker().clone());
        }
    }

    /// Has a connection wait for its client as long as this response does.
    pub(super) fn extend(&self, connection: &Patience) {
        connection.set(connection.limit().max(self.patience.limit()));
    }

    /// Records that the client has taken nothing for too long.
    pub(super) fn run_out(&self) -> io::Error {
        self.patience.run_out()
    }

    /// Ready once everything is taken that hyper has.
    pub(super) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.pieces == 0 {
            return Poll::Ready(());
        }
        if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn hand_out(self: &Arc<Self>) -> Arc<Self> {
        let mut state = self.state();
        state.pieces += 1;
        state.since.get_or_insert_with(Instant::now);
        self.recount(&mut state);
        Arc::clone(self)
    }

    fn advanced(&self) {
        self.state().since = Some(Instant::now());
    }

    fn taken(&self) {
        let mut state = self.state();
        state.pieces -= 1;
        let waker = if state.pieces == 0 {
            state.since = None;
            state.waker.take()
        } else {
            state.since = Some(Instant::now());
            None
        };
        self.recount(&mut state);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn behind_since(&self) -> Option<Instant> {
        if self.is_detached { self.left_since } else { self.since }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut state = std::mem::take(&mut *self.state());
        (state.since, state.left_since) = (None, None);
        self.recount(&mut state);
    }
}

/// A body that shows how its bytes are taken.
#[derive(Debug)]
pub(super) struct Watched<B> {
    body: B,
    progress: Arc<Progress>,
    /// Whether the response has no body, whatever its header says.
    is_bare: bool,
    /// Whether a long piece was handed out last. Hyper gets no more before it is taken, so that it can still reset the
    /// stream: it could not any more once it has everything.
    is_long: bool,
    /// What comes behind the body, until hyper gets it: that is when all of the body is taken, as no window holds it back.
    trailers: Option<Box<(HeaderMap, Room)>>,
}

impl<B> Watched<B> {
    pub(super) const fn new(body: B, progress: Arc<Progress>, is_bare: bool) -> Self {
        Self { body, progress, is_bare, is_long: false, trailers: None }
    }
}

impl<B> Watched<B> {
    /// Returns the trailers once hyper may take them.
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        ready!(self.progress.poll_taken(cx));
        if let Some(held) = &mut self.trailers {
            ready!(held.1.poll(cx));
        }
        let trailers = self.trailers.take().map(|held| held.0);
        if let Some(trailers) = &trailers {
            self.progress.took_head(trailers);
        }
        Poll::Ready(trailers)
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = WatchedPiece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.get_mut();
        if this.is_long {
            ready!(this.progress.poll_taken(cx));
            this.is_long = false;
        }
        if this.trailers.is_none() {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            match frame.into_trailers() {
                Ok(trailers) => {
                    let room = this.progress.heads().room(Heads::len_of(&trailers));
                    this.trailers = Some(Box::new((trailers, room)));
                }
                Err(frame) => {
                    let frame = frame.map_data(|data| {
                        this.is_long = data.remaining() > LONG_LEN;
                        WatchedPiece::new(data, &this.progress)
                    });
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
        }
        this.poll_trailers(cx).map(|trailers| trailers.map(Frame::trailers).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.is_bare || !self.is_long && self.trailers.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of a body.
#[derive(Debug)]
pub(super) struct WatchedPiece<D> {
    data: D,
    /// `None` once it is taken.
    progress: Option<Arc<Progress>>,
}

impl<D: Buf> WatchedPiece<D> {
    fn new(data: D, progress: &Arc<Progress>) -> Self {
        let progress = data.has_remaining().then(|| progress.hand_out());
        Self { data, progress }
    }
}

impl<D: Buf> Buf for WatchedPiece<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [io::IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        self.progress.iter().for_each(|progress| progress.written_ahead.took_of_body(count));
        if self.data.has_remaining() {
            self.progress.iter().for_each(|progress| progress.advanced());
        } else if let Some(progress) = self.progress.take() {
            progress.taken();
        }
    }
}

impl<D> Drop for WatchedPiece<D> {
    fn drop(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.taken();
        }
    }
}

/// More than a poll usually brings. What is shorter is sent with the stream's end, in one frame.
const LONG_LEN: usize = 16 << 10;
