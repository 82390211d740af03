//! One budget of memory for everything that waits in buffers.
//!
//! A [`Budget`] counts bytes, and says what to do as it fills. Whatever holds a buffer holds a [`Charge`] beside it, a
//! session a [`Holding`] for all its own buffers together, and sets it to the buffer's size. That is one atomic addition
//! if the size has changed, and nothing otherwise.
//!
//! ```text
//!   0 %                                70 %    75 %        90 %     95 %  100 %
//!    |---------- every session reads -----------|           |         |      |
//!                                        |      |- who holds more than an equal share reads no more
//!               woken in small groups  <-|                  |- handshakes are refused
//!                                                                     |      |- the largest end, until here
//!                                                                     |<-----|
//! ```
//!
//! The levels are in `levels`, the count in `account`, what is counted in `charge`. Who ends is chosen by [`choose`]; the sessions' floor looks at them.

mod account;
mod charge;
mod choice;
mod levels;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use self::account::Account;
pub use self::charge::{Charge, Holding, Leaving};
pub use self::choice::{Holder, choose};
pub use self::settings::MemoryMax;

/// A number of bytes that all buffers together may take. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

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
        Self(Arc::new(Account::new(max)))
    }

    /// Sets another limit.
    pub fn set_max(&self, max: Option<usize>) {
        self.0.max.store(max.unwrap_or(levels::NO_LIMIT), SeqCst);
        self.0.rise();
        self.0.fall();
    }

    /// Creates the charge of a buffer, which is empty.
    pub fn charge(&self) -> Charge {
        Charge::new(Arc::clone(&self.0))
    }

    /// Counts a session, whose buffers are empty.
    pub fn hold(&self) -> Holding {
        self.0.sessions.fetch_add(1, SeqCst);
        Holding::new(self.charge())
    }

    /// Returns how many bytes of messages may wait for a session's client.
    pub fn room(&self) -> usize {
        self.0.room()
    }

    /// Returns whether nothing new may begin.
    pub fn is_scarce(&self) -> bool {
        self.0.is_scarce()
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

impl Holding {
    /// Returns the budget.
    pub fn budget(&self) -> Budget {
        Budget(Arc::clone(&self.charge.account))
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
