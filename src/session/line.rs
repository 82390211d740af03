//! The POSTs of a client that may send several at once: complete bodies, queued on their way to the link. A client may
//! number them, so that it can repeat one whose response it did not receive.

use std::collections::VecDeque;

/// POSTs whose bodies are complete, in the order in which they were completed. `T` is a body, `W` waits for the
/// outcome.
///
/// ```
/// use polliwog::session::{Joined, Line};
///
/// let mut line = Line::default();
/// assert_eq!(line.join(Some(1), "first", 'a'), Joined::Waits);
/// // The client lost the response and repeats the POST: it waits for the same outcome, and its body is discarded.
/// assert_eq!(line.join(Some(1), "first", 'b'), Joined::Waits);
/// // The third cannot be queued before the second.
/// assert_eq!(line.join(Some(3), "third", 'c'), Joined::Gap('c', 2));
///
/// assert_eq!((line.advance(), line.advance()), (Some("first"), None));
/// assert_eq!(line.settle(), ['a', 'b']);
/// assert_eq!(line.join(Some(1), "first", 'd'), Joined::Taken('d'));
/// ```
#[derive(Debug)]
pub struct Line<T, W> {
    /// The number of the last POST that was queued.
    taken: u64,
    /// The POST that the session is handling.
    first: Option<Place<W>>,
    rest: VecDeque<(T, Place<W>)>,
    /// The link has failed: how much of its data was delivered is unknown.
    is_broken: bool,
}

/// A queued POST and everything that waits for its outcome: a repetition gets the outcome of the original.
#[derive(Debug)]
struct Place<W> {
    number: Option<u64>,
    waiting: Vec<W>,
}

/// The result of queueing a POST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joined<W> {
    /// It waits for its outcome.
    Waits,
    /// It was accepted before: this is a repetition.
    Taken(W),
    /// An earlier POST is missing: the one with this number.
    Gap(W, u64),
    /// The link has failed.
    Broken(W),
}

impl<T, W> Default for Line<T, W> {
    fn default() -> Self {
        Self { taken: 0, first: None, rest: VecDeque::new(), is_broken: false }
    }
}

impl<T, W> Line<T, W> {
    /// Queues a complete POST. Its number counts as used even if its connection breaks.
    pub fn join(&mut self, number: Option<u64>, body: T, waits: W) -> Joined<W> {
        if self.is_broken {
            return Joined::Broken(waits);
        }
        if let Some(number) = number {
            if number > self.taken + 1 {
                return Joined::Gap(waits, self.taken + 1);
            }
            if number <= self.taken {
                let places = self.first.iter_mut().chain(self.rest.iter_mut().map(|(_, place)| place));
                let Some(place) = places.into_iter().find(|place| place.number == Some(number)) else {
                    return Joined::Taken(waits);
                };
                place.waiting.push(waits);
                return Joined::Waits;
            }
            self.taken = number;
        }
        self.rest.push_back((body, Place { number, waiting: vec![waits] }));
        Joined::Waits
    }

    /// Returns the bodies that the session has not been given.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.rest.iter().map(|(body, _)| body)
    }

    /// Returns the next body for the session, or `None` while the session is handling one.
    pub fn advance(&mut self) -> Option<T> {
        if self.first.is_some() {
            return None;
        }
        let (body, place) = self.rest.pop_front()?;
        self.first = Some(place);
        Some(body)
    }

    /// Finishes the POST that the session was handling. Returns everything that waits for its outcome.
    pub fn settle(&mut self) -> Vec<W> {
        self.first.take().map(|place| place.waiting).unwrap_or_default()
    }

    /// Records that the link has failed. Returns everything that waits for an outcome.
    pub fn fail_all(&mut self) -> Vec<W> {
        self.is_broken = true;
        let places = self.first.take().into_iter().chain(self.rest.drain(..).map(|(_, place)| place));
        places.flat_map(|place| place.waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repetition_waits_for_the_verdict_of_the_first_and_is_taken_later() {
        let mut line = Line::default();
        assert_eq!(line.join(Some(1), "a", 'a'), Joined::Waits);
        assert_eq!(line.advance(), Some("a"));
        assert_eq!(line.join(Some(1), "a", 'b'), Joined::Waits);
        assert_eq!(line.join(Some(2), "b", 'c'), Joined::Waits);
        assert_eq!(line.join(Some(2), "b", 'd'), Joined::Waits);
        assert_eq!(line.advance(), None, "one at a time");
        assert_eq!(line.settle(), ['a', 'b']);
        assert_eq!(line.join(Some(1), "a", 'e'), Joined::Taken('e'));
        assert_eq!((line.advance(), line.advance()), (Some("b"), None));
        assert_eq!(line.settle(), ['c', 'd']);
    }

    #[test]
    fn a_gap_says_what_was_expected_and_takes_no_number() {
        let mut line = Line::default();
        assert_eq!(line.join(Some(2), "b", ()), Joined::Gap((), 1));
        assert_eq!(line.join(None, "x", ()), Joined::Waits);
        assert_eq!(line.join(Some(1), "a", ()), Joined::Waits);
        assert_eq!(line.join(Some(u64::MAX), "z", ()), Joined::Gap((), 2));
        assert_eq!(line.advance(), Some("x"));
    }

    #[test]
    fn a_link_that_breaks_refuses_all_and_repetitions_too() {
        let mut line = Line::default();
        for number in 1..=3 {
            assert_eq!(line.join(Some(number), number, number), Joined::Waits);
        }
        line.advance();
        line.settle();
        line.advance();
        assert_eq!(line.fail_all(), [2, 3]);
        assert_eq!(line.join(Some(1), 1, 1), Joined::Broken(1));
        assert_eq!(line.join(None, 1, 1), Joined::Broken(1));
        assert_eq!(line.advance(), None);
    }

    /// What happens to a client that numbers its messages from 1 and repeats each until it is accepted.
    #[derive(Clone, Copy, Debug)]
    enum Op {
        /// The next message arrives completely.
        Sends,
        /// The next message is aborted on its way.
        Cut,
        /// An old message arrives again, this many before the next.
        Again(u64),
        /// A message arrives too early.
        Early(u64),
        /// The responses to everything that waits are lost.
        Forgets,
        LinkTakes,
        Breaks,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => Just(Op::Sends),
            2 => Just(Op::Cut),
            3 => (0_u64..4).prop_map(Op::Again),
            2 => (1_u64..4).prop_map(Op::Early),
            2 => Just(Op::Forgets),
            5 => Just(Op::LinkTakes),
            1 => Just(Op::Breaks),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn each_message_arrives_once_and_in_order_whatever_is_repeated(ops in prop::collection::vec(op(), 0..80)) {
            let mut line = Line::default();
            // The client's next message that is not known to be accepted.
            let mut due = 1_u64;
            let (mut arrived, mut broke) = (Vec::new(), false);
            let mut joined = 0;
            for op in ops {
                let send = match op {
                    Op::Sends => Some(due),
                    Op::Again(back) => due.checked_sub(back).filter(|number| *number > 0),
                    Op::Early(ahead) => Some(joined.max(due) + ahead),
                    // Neither is visible here: nothing was queued, and what was queued continues.
                    Op::Cut | Op::Forgets => None,
                    Op::LinkTakes => {
                        arrived.extend(line.advance());
                        for heard in line.settle() {
                            due = due.max(heard + 1);
                        }
                        None
                    }
                    Op::Breaks => {
                        line.fail_all();
                        broke = true;
                        None
                    }
                };
                let Some(number) = send else { continue };
                match line.join(Some(number), number, number) {
                    Joined::Waits => {
                        prop_assert!(number <= joined + 1 && !broke);
                        joined = joined.max(number);
                    }
                    Joined::Taken(_) => {
                        prop_assert!(arrived.contains(&number) && !broke);
                        due = due.max(number + 1);
                    }
                    Joined::Gap(_, expected) => prop_assert_eq!(expected, joined + 1),
                    Joined::Broken(_) => prop_assert!(broke),
                }
                prop_assert!(arrived.iter().copied().eq(1..=arrived.len() as u64), "{arrived:?}");
            }
        }
    }
}
