//! Which sessions end when a budget is used up.

use std::cmp::Reverse;
use std::time::Duration;

/// A session that holds some of the budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder<T> {
    /// Identifies it.
    pub id: T,
    /// How much it holds, in bytes.
    pub bytes: usize,
    /// For how long the oldest part of it has waited.
    pub age: Duration,
}

impl<T> Holder<T> {
    /// Returns how much it has taken of all others: bytes times their age.
    fn weight(&self) -> u128 {
        // Sessions that hold something since this moment differ in their size alone.
        self.bytes as u128 * (self.age.as_millis() + 1)
    }
}

/// Returns who ends so that `excess` bytes become free: those that have held most for longest, as few as possible, and
/// nobody who holds no more than an equal `share`.
pub fn choose<T>(holders: impl IntoIterator<Item = Holder<T>>, share: usize, excess: usize) -> Vec<T> {
    let mut heavy: Vec<_> = holders.into_iter().filter(|holder| holder.bytes > share).collect();
    heavy.sort_by_key(|holder| Reverse(holder.weight()));
    let mut left = excess;
    let still_needed = |holder: &Holder<T>| {
        let is_needed = left > 0;
        left = left.saturating_sub(holder.bytes);
        is_needed
    };
    heavy.into_iter().take_while(still_needed).map(|holder| holder.id).collect()
}
