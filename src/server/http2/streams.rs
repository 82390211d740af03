//! The requests of one connection that are being served, and what hyper runs for each of them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::rt::Executor;
use tokio::time::Instant;
use tracing::debug;

use super::progress::{Behind, Progress};

/// The requests of one connection that are being served. They are polled by the connection's task.
pub(super) struct Streams {
    running: FuturesUnordered<Stream>,
    starts: Starts,
}

/// What hyper starts and gives up. Only the connection's task uses it.
#[derive(Clone, Default)]
pub(super) struct Starts(Arc<Mutex<State>>, Behind);

#[derive(Default)]
struct State {
    started: Vec<Stream>,
    /// What the next started request will have, as hyper calls the service just before.
    next: Option<Arc<Progress>>,
    given_up: GivenUp,
    /// How many requests there were.
    requests: u32,
    /// Whether the client should make no more requests here.
    are_last: bool,
    /// When the last of them must have come.
    closes_at: Option<Instant>,
    /// Whether one came after that.
    is_too_late: bool,
}

/// What hyper runs for one request.
struct Stream {
    /// `None` once hyper has nothing more to do for it.
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// How its response, or its byte stream, is taken.
    progress: Option<Arc<Progress>>,
}

/// Counts requests whose client did not wait for the response.
#[derive(Default)]
struct GivenUp {
    count: u32,
    since: Option<Instant>,
}

impl Streams {
    /// Creates the requests that hyper starts by `starts`.
    pub(super) fn new(starts: Starts) -> Self {
        Self { running: FuturesUnordered::new(), starts }
    }

    /// Polls all requests that can proceed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        self.running.extend(self.starts.state().started.drain(..));
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
    }

    /// Returns whether hyper has started something that was not polled yet.
    pub(super) fn are_started(&self) -> bool {
        !self.starts.state().started.is_empty()
    }

    /// Returns whether no request is being served.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Returns whether more requests were given up than any honest client does: each may have made a backend work.
    pub(super) fn are_given_up(&self) -> bool {
        self.starts.state().given_up.count > GIVEN_UP_MAX
    }

    /// Returns whether a response was to be the connection's last.
    pub(super) fn are_last(&self) -> bool {
        self.starts.state().are_last
    }

    /// Notes that the client is told to make no more requests, with a PING: none comes any more once that is acknowledged
    /// (RFC 9113, section 6.8), which must be by then.
    pub(super) fn note_left(&self, closes_at: Instant) {
        self.starts.state().closes_at = Some(closes_at);
    }

    /// Returns whether a request has come all the same.
    pub(super) fn are_too_late(&self) -> bool {
        self.starts.state().is_too_late
    }

    /// Returns when the first of the responses will have stalled of which a client takes nothing.
    pub(super) fn stalled_at(&self) -> Option<Instant> {
        if self.starts.1.is_nobody() {
            return None;
        }
        self.running.iter().filter_map(Stream::stalled_at).min()
    }

    /// Ends the requests of whose responses the client has taken nothing for too long.
    ///
    /// # Errors
    /// One of them can't be reset any more: the connection must end.
    pub(super) fn end_stalled(&mut self, now: Instant) -> io::Result<()> {
        for stream in std::mem::take(&mut self.running) {
            match stream.progress.as_ref().filter(|_| stream.stalled_at().is_some_and(|at| at <= now)) {
                None => self.running.push(stream),
                Some(progress) => {
                    let error = progress.run_out();
                    let Some(work) = stream.work else { return Err(error) };
                    debug!(%error, "a stream is reset");
                    // Dropped unfinished, hyper resets the stream.
                    drop(work);
                }
            }
        }
        Ok(())
    }
}

impl Starts {
    fn state(&self) -> MutexGuard<'_, State> {
        // A request that panicked has ended its connection, which only drops what is left here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what counts responses of which the client has something to take.
    pub(super) fn behind(&self) -> Behind {
        self.1.clone()
    }

    /// Tells how the response to the request will be taken that hyper starts next.
    pub(super) fn expect(&self, progress: Arc<Progress>) {
        self.state().next = Some(progress);
    }

    /// Counts a request; returns how many there were.
    pub(super) fn count(&self) -> u32 {
        let mut state = self.state();
        state.requests = state.requests.saturating_add(1);
        state.is_too_late |= state.closes_at.is_some_and(|closes_at| Instant::now() >= closes_at);
        state.requests
    }

    /// Notes that a response was to be the connection's last. Others may be on their way.
    pub(super) fn note_last(&self) {
        self.state().are_last = true;
    }

    /// Notes that a client did not wait for a response.
    pub(super) fn note_given_up(&self) {
        let (mut state, now) = (self.state(), Instant::now());
        let given_up = &mut state.given_up;
        if given_up.since.is_none_or(|since| since + GIVEN_UP_WINDOW <= now) {
            *given_up = GivenUp { count: 0, since: Some(now) };
        }
        given_up.count += 1;
    }
}

impl Stream {
    fn stalled_at(&self) -> Option<Instant> {
        self.progress.as_ref()?.stalled_at()
    }
}

impl Future for Stream {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(work) = &mut self.work {
            if work.as_mut().poll(cx).is_pending() {
                self.progress.iter().for_each(|progress| progress.await_leave(cx));
                return Poll::Pending;
            }
            self.work = None;
        }
        // Hyper may have finished while the client has taken little: the rest is watched on.
        self.progress.as_ref().map_or(Poll::Ready(()), |progress| progress.poll_taken(cx))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Starts {
    fn execute(&self, work: F) {
        let mut state = self.state();
        let progress = state.next.take();
        state.started.push(Stream { work: Some(Box::pin(work)), progress });
    }
}

/// A page that closes gives up a few dozen at once.
const GIVEN_UP_MAX: u32 = 100;
const GIVEN_UP_WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_comes_long_after_goaway_is_too_late() {
        let starts = Starts::default();
        let streams = Streams::new(starts.clone());
        starts.count();
        let closes_at = Instant::now() + Duration::from_secs(1);
        streams.note_left(closes_at);
        starts.count();
        assert!(!streams.are_too_late());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!streams.are_too_late(), "none has come");
        starts.count();
        assert!(streams.are_too_late());
    }
}
