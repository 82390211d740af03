//! What has come of the bodies of an HTTP/2 connection and nobody has taken yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::budget::Charge;

/// Counts the bytes that a connection has read ahead of its requests. Hyper keeps them, up to the connection's window, and
/// does not tell how many they are. Clones share the count.
#[derive(Clone, Debug)]
pub struct ReadAhead(Arc<Mutex<Count>>);

#[derive(Debug)]
struct Count {
    waiting: usize,
    charge: Charge,
    /// The window, which more than that can't wait.
    max: usize,
    readers: usize,
}

/// The body of a request, or the byte stream that it has become, as far as it takes what was read ahead.
///
/// What is left of one is forgotten with the last of them: how much of it had come is not known. So it may count until then.
#[derive(Debug)]
pub struct Reader(ReadAhead);

impl ReadAhead {
    /// Creates the count of a connection that lets clients send `max` bytes ahead.
    pub fn new(charge: Charge, max: usize) -> Self {
        Self(Arc::new(Mutex::new(Count { waiting: 0, charge, max, readers: 0 })))
    }

    /// Counts a body.
    pub fn reader(&self) -> Reader {
        self.count().readers += 1;
        Reader(self.clone())
    }

    /// Notes that so many bytes of bodies have come.
    pub(super) fn came(&self, len: usize) {
        let mut count = self.count();
        let waiting = (count.waiting + len).min(count.max);
        count.set(waiting);
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn set(&mut self, waiting: usize) {
        self.waiting = waiting;
        self.charge.set(waiting);
    }
}

impl Reader {
    /// Notes that so many bytes were taken.
    pub fn took(&self, len: usize) {
        let mut count = self.0.count();
        let waiting = count.waiting.saturating_sub(len);
        count.set(waiting);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.readers -= 1;
        if count.readers == 0 {
            count.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[test]
    fn what_was_read_ahead_counts_until_it_is_taken_or_nobody_can_take_it() {
        let budget = Budget::new(Some(1 << 20));
        let ahead = ReadAhead::new(budget.charge(), 1000);
        ahead.came(300);
        let (one, other) = (ahead.reader(), ahead.reader());
        ahead.came(500);
        one.took(200);
        assert_eq!(budget.used(), 600);
        drop(one);
        assert_eq!(budget.used(), 600, "some of it may be the other's");
        ahead.came(900);
        assert_eq!(budget.used(), 1000, "more does not fit into the window");
        other.took(2000);
        ahead.came(5);
        assert_eq!(budget.used(), 5);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
