//! The count of all buffers' bytes, and who is told as it rises and falls.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use super::levels;

/// The fields are changed and read in one order on all threads (`SeqCst`): a thread that frees bytes either sees that the
/// budget is tight, or is seen by the thread that makes it so.
pub(super) struct Account {
    pub(super) max: AtomicUsize,
    pub(super) used: AtomicUsize,
    /// The part of `used` that belongs to sessions that have ended.
    pub(super) leaving: AtomicUsize,
    pub(super) sessions: AtomicUsize,
    pub(super) held_back: AtomicUsize,
    pub(super) is_tight: AtomicBool,
    /// Whether the budget is tight no more, and nobody was told yet.
    pub(super) has_eased: AtomicBool,
    /// Whether the waker was woken since the last [`Budget::poll_due`](super::Budget::poll_due).
    pub(super) is_called: AtomicBool,
    /// Whether a task is there that ends sessions once all is used, and found some the last time.
    pub(super) has_relief: AtomicBool,
    pub(super) waker: Mutex<Waker>,
}

impl Account {
    pub(super) fn new(max: Option<usize>) -> Self {
        Self {
            max: AtomicUsize::new(max.unwrap_or(levels::NO_LIMIT)),
            used: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            held_back: AtomicUsize::new(0),
            is_tight: AtomicBool::new(false),
            has_eased: AtomicBool::new(false),
            is_called: AtomicBool::new(false),
            has_relief: AtomicBool::new(false),
            waker: Mutex::new(Waker::noop().clone()),
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max.load(SeqCst)
    }

    pub(super) fn change(&self, before: usize, after: usize) {
        if after > before {
            let used = self.used.fetch_add(after - before, SeqCst) + (after - before);
            if used >= levels::tight(self.max()) {
                self.rise();
            }
        } else {
            self.used.fetch_sub(before - after, SeqCst);
            if self.is_tight.load(SeqCst) {
                self.fall();
            }
        }
    }

    /// Makes the budget tight if it is, and calls for help once all of it is used.
    #[cold]
    pub(super) fn rise(&self) {
        if self.used.load(SeqCst) < levels::tight(self.max()) {
            return;
        }
        self.is_tight.store(true, SeqCst);
        // What was freed since did not see that.
        self.fall();
        if self.is_over() {
            self.call();
        }
    }

    /// Eases the budget if it is tight no more. A concurrent rise may be overlooked until something else is charged,
    /// which is when it matters.
    #[cold]
    pub(super) fn fall(&self) {
        if self.used.load(SeqCst) <= levels::eased(self.max()) && self.is_tight.swap(false, SeqCst) {
            self.has_eased.store(true, SeqCst);
            self.call();
        }
    }

    /// Returns how many bytes are in use, without those of sessions that have ended. It may be too low, and never too
    /// high, while another thread counts something: `leaving` rises first and falls last.
    pub(super) fn staying(&self) -> usize {
        self.used.load(SeqCst).saturating_sub(self.leaving.load(SeqCst))
    }

    /// Returns whether nothing new may begin.
    pub(super) fn is_scarce(&self) -> bool {
        self.used.load(SeqCst) >= levels::scarce(self.max())
    }

    pub(super) fn is_over(&self) -> bool {
        self.staying() >= self.max()
    }

    pub(super) fn room(&self) -> usize {
        if !self.is_tight.load(SeqCst) {
            return usize::MAX;
        }
        levels::room(self.used.load(SeqCst), self.max(), self.sessions.load(SeqCst))
    }

    /// Returns how many more bytes may be taken at once by who holds so many.
    pub(super) fn rest(&self, held: usize) -> usize {
        if !self.is_tight.load(SeqCst) {
            return usize::MAX;
        }
        levels::rest(self.used.load(SeqCst), self.max(), held)
    }

    pub(super) fn call(&self) {
        if !self.is_called.swap(true, SeqCst) {
            self.waker.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}
