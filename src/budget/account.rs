//! The count of all buffers' bytes, and who is told as it rises and falls.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::levels;

/// A number of bytes that all buffers together may take. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

/// The fields are changed and read in one order on all threads (`SeqCst`): a thread that frees bytes either sees that the
/// budget is tight, or is seen by the thread that makes it so.
struct Account {
    max: AtomicUsize,
    used: AtomicUsize,
    /// The part of `used` that belongs to sessions that have ended.
    leaving: AtomicUsize,
    sessions: AtomicUsize,
    held_back: AtomicUsize,
    is_tight: AtomicBool,
    /// Whether the budget is tight no more, and nobody was told yet.
    has_eased: AtomicBool,
    /// Whether the waker was woken since the last [`Budget::poll_due`].
    is_called: AtomicBool,
    /// Whether a task is there that ends sessions once all is used, and found some the last time.
    has_relief: AtomicBool,
    waker: Mutex<Waker>,
}

/// Others wait for the end of sessions as long as it lives.
#[derive(Debug)]
pub struct Relief(Budget);

impl Drop for Relief {
    fn drop(&mut self) {
        self.0.0.has_relief.store(false, SeqCst);
    }
}

/// What is to be done for a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// All of it is used: some sessions end.
    Ends,
    /// It is tight no more: the sessions that were held back are woken.
    Wakes,
}

impl Budget {
    /// Creates a budget of `max` bytes; `None` is without a limit.
    pub fn new(max: Option<usize>) -> Self {
        Self(Arc::new(Account {
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
        }))
    }

    /// Sets another limit.
    pub fn set_max(&self, max: Option<usize>) {
        self.0.max.store(max.unwrap_or(levels::NO_LIMIT), SeqCst);
        self.0.rise();
        self.0.fall();
    }

    /// Creates the charge of a buffer, which is empty.
    pub fn charge(&self) -> Charge {
        Charge { account: Arc::clone(&self.0), bytes: 0 }
    }

    /// Counts a session, whose buffers are empty.
    pub fn hold(&self) -> Holding {
        self.0.sessions.fetch_add(1, SeqCst);
        Holding { charge: self.charge(), pipes: 0, is_leaving: false, is_held_back: false }
    }

    /// Returns how many bytes of messages may wait for a session's client.
    pub fn room(&self) -> usize {
        self.0.room()
    }

    /// Returns whether nothing new may begin.
    pub fn is_scarce(&self) -> bool {
        self.used() >= levels::scarce(self.0.max())
    }

    /// Returns whether all of it is used, and sessions are about to end.
    pub fn is_used_up(&self) -> bool {
        self.is_tight() && self.0.is_over()
    }

    /// Returns whether all of it is used, and some of it is about to be freed: who reads nothing until then waits for the end
    /// of sessions that are being looked for, not for a client.
    pub fn awaits_relief(&self) -> bool {
        self.is_used_up() && self.0.has_relief.load(SeqCst)
    }

    /// Notes that there is somebody who ends sessions once all is used, and that it helps, until the returned value is dropped.
    /// There is one at a time.
    pub fn relieve(&self) -> Relief {
        self.0.has_relief.store(true, SeqCst);
        Relief(self.clone())
    }

    /// Returns whether sessions are held back.
    pub fn is_tight(&self) -> bool {
        self.0.is_tight.load(SeqCst)
    }

    /// Returns an equal share of the budget.
    pub fn share(&self) -> usize {
        levels::share(self.0.max(), self.0.sessions.load(SeqCst))
    }

    /// Returns how many bytes are in use.
    pub fn used(&self) -> usize {
        self.0.used.load(SeqCst)
    }

    /// Returns the limit, if there is one.
    pub fn max(&self) -> Option<usize> {
        Some(self.0.max()).filter(|max| *max != levels::NO_LIMIT)
    }

    /// Returns how many sessions are held back.
    pub fn held_back(&self) -> usize {
        self.0.held_back.load(SeqCst)
    }

    /// Returns how many bytes sessions are to free by their end, besides those of sessions that have ended.
    pub fn excess(&self) -> usize {
        // Each is read once: other threads change them.
        let (max, staying) = (self.0.max(), self.0.staying());
        if staying >= max { staying.saturating_sub(levels::relieved(max)) } else { 0 }
    }

    /// Polls for what is to be done. One task calls it.
    pub fn poll_due(&self, cx: &Context<'_>) -> Poll<Due> {
        // Before it looks: what happens from now on wakes it.
        self.0.waker.lock().unwrap_or_else(PoisonError::into_inner).clone_from(cx.waker());
        self.0.is_called.store(false, SeqCst);
        if self.0.is_over() {
            Poll::Ready(Due::Ends)
        } else if self.0.has_eased.swap(false, SeqCst) {
            Poll::Ready(Due::Wakes)
        } else {
            Poll::Pending
        }
    }
}

impl Account {
    fn max(&self) -> usize {
        self.max.load(SeqCst)
    }

    fn change(&self, before: usize, after: usize) {
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
    fn rise(&self) {
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
    fn fall(&self) {
        if self.used.load(SeqCst) <= levels::eased(self.max()) && self.is_tight.swap(false, SeqCst) {
            self.has_eased.store(true, SeqCst);
            self.call();
        }
    }

    /// Returns how many bytes are in use, without those of sessions that have ended. It may be too low, and never too
    /// high, while another thread counts something: `leaving` rises first and falls last.
    fn staying(&self) -> usize {
        self.used.load(SeqCst).saturating_sub(self.leaving.load(SeqCst))
    }

    fn is_over(&self) -> bool {
        self.staying() >= self.max()
    }

    fn room(&self) -> usize {
        if !self.is_tight.load(SeqCst) {
            return usize::MAX;
        }
        levels::room(self.used.load(SeqCst), self.max(), self.sessions.load(SeqCst))
    }

    fn call(&self) {
        if !self.is_called.swap(true, SeqCst) {
            self.waker.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

/// Without a limit.
impl Default for Budget {
    fn default() -> Self {
        Self::new(None)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {:?})", self.used(), self.max())
    }
}

/// What one buffer takes of a budget, until it is dropped.
pub struct Charge {
    account: Arc<Account>,
    bytes: usize,
}

impl Charge {
    /// Creates the charge of another buffer of the same budget.
    pub fn another(&self) -> Self {
        Self { account: Arc::clone(&self.account), bytes: 0 }
    }

    /// Sets the size of the buffer.
    #[inline]
    pub fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.account.change(self.bytes, bytes);
            self.bytes = bytes;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({})", self.bytes)
    }
}

/// What one session takes of a budget.
#[derive(Debug)]
pub struct Holding {
    charge: Charge,
    /// Four bytes, which take no room of their own.
    pipes: u32,
    is_leaving: bool,
    is_held_back: bool,
}

impl Holding {
    /// Sets the size of its buffers.
    #[inline]
    pub fn set(&mut self, bytes: usize) {
        if bytes != self.charge.bytes {
            self.change(bytes);
        }
    }

    fn change(&mut self, bytes: usize) {
        let before = self.charge.bytes;
        if self.is_leaving {
            self.charge.account.leaving.fetch_add(bytes.saturating_sub(before), SeqCst);
        }
        self.charge.set(bytes);
        if self.is_leaving {
            self.charge.account.leaving.fetch_sub(before.saturating_sub(bytes), SeqCst);
        }
    }

    /// Notes the part that its pipes hold. [`set`](Self::set) counts it with the rest.
    pub fn set_pipes(&mut self, bytes: usize) {
        self.pipes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    /// Returns what its pipes held when that was noted.
    pub const fn pipes(&self) -> usize {
        self.pipes as usize
    }

    /// Returns the size of its buffers.
    pub const fn bytes(&self) -> usize {
        self.charge.bytes
    }

    /// Returns the budget.
    pub fn budget(&self) -> Budget {
        Budget(Arc::clone(&self.charge.account))
    }

    /// Returns whether sessions are held back.
    #[inline]
    pub fn is_tight(&self) -> bool {
        self.charge.account.is_tight.load(SeqCst)
    }

    /// Returns how many bytes of messages may wait for the session's client.
    pub fn room(&self) -> usize {
        self.charge.account.room()
    }

    /// Counts whether the session is held back.
    pub fn hold_back(&mut self, is_held_back: bool) {
        if self.is_held_back != is_held_back {
            self.is_held_back = is_held_back;
            let count = &self.charge.account.held_back;
            if is_held_back {
                count.fetch_add(1, SeqCst)
            } else {
                count.fetch_sub(1, SeqCst)
            };
        }
    }

    /// Returns whether the session is held back.
    pub const fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// Notes that the session has ended: it has no share any more, and what it still holds is about to be freed.
    pub fn leave(&mut self) {
        self.hold_back(false);
        if !std::mem::replace(&mut self.is_leaving, true) {
            self.charge.account.sessions.fetch_sub(1, SeqCst);
            self.charge.account.leaving.fetch_add(self.charge.bytes, SeqCst);
        }
    }

    /// Creates the charge of something that outlives the session for a while.
    pub fn part(&self, bytes: usize) -> Leaving {
        self.charge.account.leaving.fetch_add(bytes, SeqCst);
        self.charge.account.change(0, bytes);
        Leaving(Charge { account: Arc::clone(&self.charge.account), bytes })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.leave();
        self.set(0);
    }
}

/// What is left of a session that has ended, until it is dropped.
#[derive(Debug)]
pub struct Leaving(Charge);

impl Leaving {
    /// Sets what is left now.
    pub fn set(&mut self, bytes: usize) {
        let Self(charge) = self;
        let (before, account) = (charge.bytes, Arc::clone(&charge.account));
        account.leaving.fetch_add(bytes.saturating_sub(before), SeqCst);
        charge.set(bytes);
        account.leaving.fetch_sub(before.saturating_sub(bytes), SeqCst);
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.set(0);
    }
}
