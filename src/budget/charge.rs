//! What one buffer, or one session, takes of the budget.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::account::Account;

/// What one buffer takes of a budget, until it is dropped.
pub struct Charge {
    pub(super) account: Arc<Account>,
    bytes: usize,
}

impl Charge {
    pub(super) const fn new(account: Arc<Account>) -> Self {
        Self { account, bytes: 0 }
    }

    /// Creates the charge of another buffer of the same budget.
    pub fn another(&self) -> Self {
        Self::new(Arc::clone(&self.account))
    }

    /// Returns whether nothing new may begin.
    pub fn is_scarce(&self) -> bool {
        self.account.is_scarce()
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
    pub(super) charge: Charge,
    /// Four bytes, which take no room of their own.
    pipes: u32,
    is_leaving: bool,
    is_held_back: bool,
}

impl Holding {
    pub(super) const fn new(charge: Charge) -> Self {
        Self { charge, pipes: 0, is_leaving: false, is_held_back: false }
    }

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

    /// Returns whether sessions are held back.
    #[inline]
    pub fn is_tight(&self) -> bool {
        self.charge.account.is_tight.load(SeqCst)
    }

    /// Returns how many bytes of messages may wait for the session's client.
    pub fn room(&self) -> usize {
        self.charge.account.room()
    }

    /// Returns how many more bytes the session may take at once until all of the budget is used; any number while no
    /// session is held back, or would be if this one held nothing: then it waits for nobody.
    pub fn rest(&self) -> usize {
        self.charge.account.rest(self.charge.bytes)
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
