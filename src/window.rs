//! A numbered sequence, from 1, in which each item is kept until it is known to have arrived.

use std::collections::VecDeque;

/// ```text
///   forgotten | handed out, and kept | waiting
///               first                  next
/// ```
///
/// An item that is known to arrive when it is handed out is taken with [`take`](Self::take), and never kept.
#[derive(Debug)]
pub(crate) struct Window<T> {
    kept: VecDeque<T>,
    first: u64,
    next: u64,
}

impl<T> Window<T> {
    /// Creates an empty window with room for `capacity` items.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { kept: VecDeque::with_capacity(capacity), first: 1, next: 1 }
    }

    /// Appends an item.
    pub(crate) fn push(&mut self, item: T) {
        if self.kept.capacity() == 0 {
            // Most windows never hold more, and the first push would make room for four.
            self.kept.reserve_exact(1);
        }
        self.kept.push_back(item);
    }

    /// Returns all items that are kept, handed out or not.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &T> {
        self.kept.iter()
    }

    /// Returns how many items are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Returns the items that were not handed out, oldest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &T> {
        self.kept.range(self.out()..)
    }

    /// Returns whether any item was not handed out.
    pub(crate) fn has_waiting(&self) -> bool {
        self.out() < self.kept.len()
    }

    /// Returns the number of the last item that was forgotten.
    pub(crate) const fn forgotten(&self) -> u64 {
        self.first - 1
    }

    /// Returns the number of the last item that was handed out.
    pub(crate) const fn handed_out(&self) -> u64 {
        self.next - 1
    }

    /// Hands out the next item, and keeps it.
    pub(crate) fn hand_out(&mut self) -> Option<(u64, &T)> {
        let item = self.kept.get(self.out())?;
        self.next += 1;
        Some((self.next - 1, item))
    }

    /// Hands out the next item, and forgets it and all before it.
    pub(crate) fn take(&mut self) -> Option<T> {
        if self.first < self.next {
            drop(self.forget_through(self.handed_out()));
        }
        let item = self.kept.pop_front()?;
        self.first += 1;
        self.next += 1;
        Some(item)
    }

    /// Puts back the item that was taken last.
    pub(crate) fn put_back(&mut self, item: T) {
        debug_assert!(self.first == self.next && self.first > 1, "nothing was taken");
        self.kept.push_front(item);
        self.first -= 1;
        self.next -= 1;
    }

    /// Forgets all items up to this number, which have arrived, and returns them.
    pub(crate) fn forget_through(&mut self, number: u64) -> impl Iterator<Item = T> {
        let last = self.forgotten() + self.kept.len() as u64;
        let count = number.min(last).saturating_sub(self.forgotten());
        self.first += count;
        // It may have been handed out before the last rewind.
        self.next = self.next.max(self.first);
        self.kept.drain(..usize::try_from(count).unwrap_or(0))
    }

    /// Hands out again the items kept after this number.
    pub(crate) fn rewind(&mut self, number: u64) {
        self.next = (number + 1).clamp(self.first, self.next);
    }

    /// Drops the items that were not handed out.
    pub(crate) fn drop_waiting(&mut self) {
        self.kept.truncate(self.out());
    }

    /// Releases the memory of an empty window, if it has room for more than `room_kept` items.
    pub(crate) fn shrink(&mut self, room_kept: usize) {
        if self.kept.is_empty() && self.kept.capacity() > room_kept {
            self.kept = VecDeque::with_capacity(1);
        }
    }

    /// Returns how many items are handed out and kept.
    fn out(&self) -> usize {
        // At most as many as are kept, so it fits.
        usize::try_from(self.next - self.first).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(count: u64) -> Window<u64> {
        let mut window = Window::with_capacity(1);
        (1..=count).for_each(|number| window.push(number));
        window
    }

    #[test]
    fn what_is_handed_out_is_kept_until_it_is_forgotten() {
        let mut window = window(3);
        assert_eq!(window.hand_out(), Some((1, &1)));
        assert_eq!(window.hand_out(), Some((2, &2)));
        assert_eq!((window.len(), window.waiting().count()), (3, 1));
        assert_eq!(window.forget_through(1).collect::<Vec<_>>(), [1]);
        assert_eq!((window.forgotten(), window.handed_out()), (1, 2));
        assert_eq!(window.forget_through(1).count(), 0);
        window.rewind(1);
        assert_eq!(window.forget_through(2).collect::<Vec<_>>(), [2]);
        assert_eq!(window.hand_out(), Some((3, &3)));
        assert_eq!(window.hand_out(), None);
        assert_eq!(window.forget_through(9).collect::<Vec<_>>(), [3]);
        assert_eq!((window.forgotten(), window.handed_out()), (3, 3));
    }

    #[test]
    fn what_was_lost_is_handed_out_again() {
        let mut window = window(3);
        while window.hand_out().is_some() {}
        window.forget_through(1).for_each(drop);
        window.rewind(2);
        assert_eq!(window.hand_out(), Some((3, &3)));
        window.rewind(0);
        assert_eq!(window.hand_out(), Some((2, &2)));
        window.drop_waiting();
        assert_eq!(window.kept().collect::<Vec<_>>(), [&2]);
    }

    #[test]
    fn what_is_taken_is_not_kept_and_may_come_back() {
        let mut window = window(3);
        assert_eq!((window.take(), window.take()), (Some(1), Some(2)));
        assert_eq!((window.len(), window.forgotten(), window.handed_out()), (1, 2, 2));
        window.put_back(2);
        assert_eq!((window.take(), window.take(), window.take()), (Some(2), Some(3), None));
    }
}
