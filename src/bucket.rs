//! A token bucket: how much may come at once, and how much a second after that.
//!
//! What is taken has a price in time: at ten a second, one costs 100 ms. The bucket then only needs to know when it is
//! full again, and another rate or depth holds from the next time on.

use std::time::{Duration, Instant};

/// A token bucket, full at first.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use polliwog::bucket::Bucket;
///
/// const SECOND: Duration = Duration::from_secs(1);
/// let (mut bucket, now) = (Bucket::default(), Instant::now());
/// // Ten a second, and at most two at once.
/// let mut take = |now| bucket.take(SECOND / 10, SECOND / 5, now);
/// assert_eq!((take(now), take(now)), (Ok(()), Ok(())));
/// assert_eq!(take(now), Err(now + SECOND / 10));
/// assert_eq!(take(now + SECOND / 10), Ok(()));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// When it is full again; `None` if it always was.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes something that costs so much from a bucket that holds `depth`. What costs more than that is taken from a
    /// full one.
    ///
    /// # Errors
    /// Nothing is taken: it may be asked for again at the returned time.
    pub fn take(&mut self, price: Duration, depth: Duration, now: Instant) -> Result<(), Instant> {
        if let Some(at) = self.opens_at(price, depth, now) {
            return Err(at);
        }
        self.charge(price, now);
        Ok(())
    }

    /// Takes something that has already come, even if it costs more than is there: what follows waits for it.
    pub fn charge(&mut self, price: Duration, now: Instant) {
        let from = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(from + price);
    }

    /// Gives back what was taken, because it was not needed after all.
    pub fn give_back(&mut self, price: Duration) {
        self.full_at = self.full_at.and_then(|at| at.checked_sub(price));
    }

    /// Returns when something may be taken, unless that is now.
    pub fn opens_at(&self, price: Duration, depth: Duration, now: Instant) -> Option<Instant> {
        let full_at = self.full_at?;
        // What costs more than the depth waits for a full one.
        let ahead = depth.saturating_sub(price);
        let missing = full_at.saturating_duration_since(now).checked_sub(ahead)?;
        (!missing.is_zero()).then(|| now + missing)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn what_costs_more_than_the_depth_is_taken_from_a_full_one() {
        let (mut bucket, now) = (Bucket::default(), now());
        assert_eq!(bucket.take(50 * MS, 10 * MS, now), Ok(()));
        assert_eq!(bucket.take(50 * MS, 10 * MS, now), Err(now + 50 * MS));
        assert_eq!(bucket.take(MS, 10 * MS, now), Err(now + 41 * MS));
        assert_eq!(bucket.take(50 * MS, 10 * MS, now + 50 * MS), Ok(()));
    }

    #[test]
    fn what_has_come_already_delays_what_follows() {
        let (mut bucket, now) = (Bucket::default(), now());
        bucket.charge(50 * MS, now);
        assert_eq!(bucket.opens_at(Duration::ZERO, 10 * MS, now), Some(now + 40 * MS));
        assert_eq!(bucket.opens_at(Duration::ZERO, 10 * MS, now + 40 * MS), None);
    }

    #[test]
    fn another_rate_holds_at_once() {
        let (mut bucket, now) = (Bucket::default(), now());
        assert_eq!(bucket.take(10 * MS, 10 * MS, now), Ok(()));
        assert!(bucket.take(10 * MS, 10 * MS, now).is_err());
        assert_eq!(bucket.take(10 * MS, 20 * MS, now), Ok(()));
        assert_eq!(bucket.take(Duration::ZERO, Duration::MAX, now), Ok(()));
    }

    proptest! {
        #[test]
        fn no_time_sees_more_than_the_depth_and_what_has_come_in(
            price in 1_u32..50,
            depth in 1_u32..200,
            pauses in prop::collection::vec(0_u32..100, 1..200),
        ) {
            let (price, depth, start) = (price * MS, depth * MS, now());
            let (mut bucket, mut now) = (Bucket::default(), start);
            let mut taken: Vec<Instant> = Vec::new();
            // As others would count: what is there, filled up as time passes.
            let (mut there, mut since) = (depth, start);
            for pause in pauses {
                now += pause * MS;
                there = depth.min(there + (now - since));
                since = now;
                let fits = there >= price.min(depth);
                match bucket.take(price, depth, now) {
                    Ok(()) => {
                        prop_assert!(fits || price > depth);
                        there = there.saturating_sub(price);
                        taken.push(now);
                    }
                    Err(at) => {
                        prop_assert!(at > now && (!fits || price > depth));
                        // It is true.
                        let (mut early, mut then) = (bucket, bucket);
                        prop_assert!(early.take(price, depth, at.checked_sub(Duration::from_nanos(1)).unwrap()).is_err());
                        prop_assert!(then.take(price, depth, at).is_ok());
                    }
                }
            }
            for (index, from) in taken.iter().enumerate() {
                for (more, to) in taken[index..].iter().enumerate() {
                    let count = u32::try_from(more + 1).unwrap();
                    prop_assert!(count * price <= depth.max(price) + (*to - *from));
                }
            }
        }
    }
}
