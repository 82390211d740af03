//! What an HTTP/2 connection has taken of the headers of responses, and trailers, and has not written.
//!
//! There is no window for headers: hyper takes those of any number of responses, and keeps them as long as the socket takes
//! nothing. So they are counted, and beyond a bound hyper gets no more of them before most are written.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::HeaderMap;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::Patience;
use crate::budget::Charge;

/// Counts the header sections that hyper has taken of a connection's responses and not written. Clones share the count.
///
/// Hyper writes them in the order in which it took them, and does not tell which it drops as their streams are reset. So
/// each one that is written counts as an average one, and none is left once hyper has written all that it has.
#[derive(Clone, Debug)]
pub struct Heads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How many there are. Only the connection's task changes it and what follows, and nothing is locked while there are none.
    count: AtomicUsize,
    /// Whether hyper had nothing more to write when it last wrote.
    is_flushed: AtomicBool,
    state: Mutex<State>,
    /// Told when there is room again.
    room: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    /// What they take.
    len: usize,
    /// Whether hyper gets no more of them.
    is_full: bool,
    charge: Charge,
    /// Since when the client has taken nothing while some wait.
    since: Option<Instant>,
    /// For how long the client may take nothing: that of the most patient response.
    patience: Option<Patience>,
}

impl Heads {
    /// Creates the count of a connection.
    pub(super) fn new(charge: Charge) -> Self {
        let state = State { len: 0, is_full: false, charge, since: None, patience: None };
        Self(Arc::new(Shared {
            count: AtomicUsize::new(0),
            is_flushed: AtomicBool::new(false),
            state: Mutex::new(state),
            room: Arc::default(),
        }))
    }

    /// Returns what a header section takes.
    pub fn len_of(headers: &HeaderMap) -> usize {
        let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + LINE_LEN);
        FIXED_LEN + lines.sum::<usize>()
    }

    /// Notes that hyper takes a header section that takes `len` bytes, of a response whose client may take nothing for as
    /// long as `patience` says.
    pub fn took(&self, len: usize, patience: &Patience) {
        let count = self.count();
        self.set_count(count + 1);
        let mut state = self.state();
        state.len += len;
        state.is_full |= state.len >= LEN_MAX;
        if count == 0 || state.patience.as_ref().is_none_or(|most| most.limit() < patience.limit()) {
            state.patience = Some(patience.clone());
        }
    }

    /// Returns whether hyper gets no more of them.
    pub fn are_full(&self) -> bool {
        self.count() > 0 && self.state().is_full
    }

    /// Waits with a header section that takes `len` bytes, which count meanwhile.
    pub fn room(&self, len: usize) -> Room {
        let mut charge = self.state().charge.another();
        charge.set(len);
        Room { heads: self.clone(), wake: None, charge }
    }

    /// Notes whether hyper has just written everything, up to a flush.
    pub(super) fn set_flushed(&self, is_flushed: bool) {
        self.0.is_flushed.store(is_flushed, Ordering::Relaxed);
    }

    /// Notes that something was written, with the ends of so many header sections.
    pub(super) fn wrote(&self, ends: usize) {
        let count = self.count();
        if count > 0 {
            let mut state = self.state();
            let ends = ends.min(count);
            let len = state.len - state.len / count * ends;
            let is_eased = self.leave(&mut state, count - ends, len);
            state.since = state.since.map(|_| Instant::now());
            drop(state);
            if is_eased {
                self.0.room.notify_waiters();
            }
        }
    }

    /// To be called each time that hyper has written what it could, when it has had all that it may write: charges for what
    /// is left.
    pub fn settle(&self) {
        if self.count() > 0 {
            let mut state = self.state();
            let is_eased = if self.0.is_flushed.load(Ordering::Relaxed) {
                self.leave(&mut state, 0, 0)
            } else {
                let len = state.len;
                state.charge.set(len);
                state.since.get_or_insert_with(Instant::now);
                false
            };
            drop(state);
            if is_eased {
                self.0.room.notify_waiters();
            }
        }
    }

    /// Notes that the connection has ended: nothing is written any more.
    pub(super) fn end(&self) {
        if self.count() > 0 {
            self.leave(&mut self.state(), 0, 0);
        }
    }

    /// Sets what is left; returns whether there is room again.
    fn leave(&self, state: &mut State, count: usize, len: usize) -> bool {
        self.set_count(count);
        state.len = if count == 0 { 0 } else { len };
        if count == 0 {
            (state.since, state.patience) = (None, None);
            state.charge.set(0);
        }
        let is_eased = state.is_full && state.len <= LEN_MAX / 2;
        state.is_full &= !is_eased;
        is_eased
    }

    /// Returns when the client will have taken nothing for too long while some wait; `None` while none do.
    pub fn stalled_at(&self) -> Option<Instant> {
        if self.count() == 0 {
            return None;
        }
        let state = self.state();
        Some(state.since? + state.patience.as_ref()?.limit())
    }

    /// Records that the client has taken nothing for too long.
    pub fn run_out(&self) -> io::Error {
        let patience = self.state().patience.clone();
        patience.map_or_else(|| io::ErrorKind::TimedOut.into(), |patience| patience.run_out())
    }

    fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    fn set_count(&self, count: usize) {
        self.0.count.store(count, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a header section waits until hyper may take it.
#[derive(Debug)]
pub struct Room {
    heads: Heads,
    wake: Option<Pin<Box<OwnedNotified>>>,
    #[expect(dead_code, reason = "held for its drop")]
    charge: Charge,
}

impl Room {
    /// Ready once hyper may take it.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.heads.are_full() {
            let room = &self.heads.0.room;
            let wake = self.wake.get_or_insert_with(|| Box::pin(Arc::clone(room).notified_owned()));
            ready!(wake.as_mut().poll(cx));
            self.wake = None;
        }
        Poll::Ready(())
    }
}

/// A parsed header takes so much for each line besides its bytes.
const LINE_LEN: usize = 128;
/// And so much besides its lines: what hyper keeps of a stream.
const FIXED_LEN: usize = 512;
/// With so much, hyper gets no more of them: some sixty usual ones, which are written at once unless the socket is full.
const LEN_MAX: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::budget::Budget;

    const LIMIT: Duration = Duration::from_secs(1);

    fn heads() -> (Heads, Budget) {
        let budget = Budget::new(Some(1 << 30));
        (Heads::new(budget.charge()), budget)
    }

    #[test]
    fn a_header_takes_its_bytes_and_more_for_each_line() {
        let mut headers = HeaderMap::new();
        assert_eq!(Heads::len_of(&headers), FIXED_LEN);
        headers.append("name", HeaderValue::from_static("value"));
        headers.append("name", HeaderValue::from_static(""));
        assert_eq!(Heads::len_of(&headers), FIXED_LEN + 13 + 2 * LINE_LEN);
    }

    #[test]
    fn what_is_left_counts_after_hyper_has_written_what_it_could() {
        let (heads, budget) = heads();
        let patience = Patience::new(LIMIT);
        for len in [100, 300] {
            heads.took(len, &patience);
        }
        assert_eq!(budget.used(), 0, "it may be written at once");
        heads.settle();
        assert_eq!(budget.used(), 400);
        heads.wrote(0);
        heads.wrote(1);
        heads.settle();
        assert_eq!(budget.used(), 200, "an average one");
        heads.wrote(3);
        assert_eq!(budget.used(), 0);
        // One whose stream was reset is never written.
        heads.took(100, &patience);
        heads.settle();
        heads.set_flushed(true);
        assert_eq!(budget.used(), 100);
        heads.settle();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn beyond_the_bound_there_is_room_again_once_half_is_written() {
        let (heads, budget) = heads();
        let patience = Patience::new(LIMIT);
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..4 {
            assert!(!heads.are_full());
            heads.took(LEN_MAX / 4, &patience);
        }
        heads.settle();
        let mut room = heads.room(50);
        assert_eq!(budget.used(), LEN_MAX + 50);
        assert!(heads.are_full() && room.poll(cx).is_pending());
        heads.wrote(1);
        assert!(heads.are_full() && room.poll(cx).is_pending());
        heads.wrote(1);
        assert!(!heads.are_full());
        // Another was faster.
        heads.took(LEN_MAX, &patience);
        assert!(room.poll(cx).is_pending());
        heads.set_flushed(true);
        heads.settle();
        assert!(room.poll(cx).is_ready());
        drop(room);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_has_stalled_after_the_longest_patience() {
        let (heads, _budget) = heads();
        for factor in [1, 3, 2] {
            heads.took(100, &Patience::new(LIMIT * factor));
        }
        assert_eq!(heads.stalled_at(), None, "it may be written at once");
        let start = Instant::now();
        heads.settle();
        tokio::time::advance(LIMIT).await;
        heads.settle();
        assert_eq!(heads.stalled_at(), Some(start + LIMIT * 3));
        heads.wrote(0);
        assert_eq!(heads.stalled_at(), Some(start + LIMIT * 4));
        assert!(heads.run_out().to_string().contains("3000 ms"));
        heads.wrote(3);
        assert_eq!(heads.stalled_at(), None);
    }
}
