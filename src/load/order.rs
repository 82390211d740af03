//! Checks that all numbered messages come back once and in order. Pure: it receives numbers and classifies them.

use std::ops::Range;

/// The received numbers of one session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Order {
    /// One more than the highest number received.
    next: u64,
    /// The missing numbers below it, in ascending order.
    missing: Vec<Range<u64>>,
}

/// How a number relates to those received before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// It is higher than any before it; this many in between are missing.
    InOrder(u64),
    /// A higher one was received before it.
    Reordered,
    /// It was received before.
    Duplicated,
}

impl Order {
    /// Records that `number` was received.
    pub(super) fn handle(&mut self, number: u64) -> Arrival {
        if number >= self.next {
            let skipped = number - self.next;
            if skipped > 0 {
                self.missing.push(self.next..number);
            }
            self.next = number + 1;
            return Arrival::InOrder(skipped);
        }
        let Some(at) = self.missing.iter().position(|gap| gap.contains(&number)) else {
            return Arrival::Duplicated;
        };
        let gap = self.missing.remove(at);
        // What is left on either side of it, the upper first, so that both stay in order.
        for rest in [number + 1..gap.end, gap.start..number] {
            if !rest.is_empty() {
                self.missing.insert(at, rest);
            }
        }
        Arrival::Reordered
    }

    /// Returns one more than the highest number received.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Returns how many different numbers were received.
    pub(super) fn received(&self) -> u64 {
        self.next - self.missing.iter().map(|gap| gap.end - gap.start).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Arrival::{Duplicated, InOrder, Reordered};
    use super::*;

    fn judge(numbers: &[u64]) -> (Vec<Arrival>, u64) {
        let mut order = Order::default();
        let arrivals = numbers.iter().map(|&number| order.handle(number)).collect();
        (arrivals, order.received())
    }

    #[test]
    fn what_comes_in_order_is_in_order() {
        assert_eq!(judge(&[0, 1, 2]), (vec![InOrder(0); 3], 3));
        assert_eq!(judge(&[]), (vec![], 0));
    }

    #[test]
    fn a_gap_is_no_disorder_until_it_is_filled() {
        assert_eq!(judge(&[0, 3]), (vec![InOrder(0), InOrder(2)], 2));
        assert_eq!(judge(&[0, 3, 2, 1]), (vec![InOrder(0), InOrder(2), Reordered, Reordered], 4));
        assert_eq!(judge(&[4, 2, 0]), (vec![InOrder(4), Reordered, Reordered], 3));
    }

    #[test]
    fn what_has_come_before_is_duplicated_wherever_it_came() {
        assert_eq!(judge(&[0, 0]), (vec![InOrder(0), Duplicated], 1));
        assert_eq!(judge(&[0, 2, 1, 1]), (vec![InOrder(0), InOrder(1), Reordered, Duplicated], 3));
    }

    proptest! {
        #[test]
        fn every_number_counts_once(numbers in prop::collection::vec(0_u64..40, 0..80)) {
            let (arrivals, come) = judge(&numbers);
            let mut seen = std::collections::BTreeSet::new();
            for (number, arrival) in numbers.iter().zip(arrivals) {
                let next = seen.last().map_or(0, |last| last + 1);
                let expected = match (seen.insert(*number), *number >= next) {
                    (false, _) => Duplicated,
                    (true, true) => InOrder(number - next),
                    (true, false) => Reordered,
                };
                prop_assert_eq!(arrival, expected);
            }
            prop_assert_eq!(come, seen.len() as u64);
        }
    }
}
