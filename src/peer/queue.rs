//! A queue that seldom has more than one element.

use std::collections::VecDeque;
use std::iter;

/// A queue whose first element needs no room of its own. Most bodies cross with their header and have no pieces, or one; each request
/// on a connection has three of these.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// If there is none, there are no others either.
    first: Option<T>,
    #[expect(clippy::box_collection, reason = "most queues have none, and are moved")]
    others: Option<Box<VecDeque<T>>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: None, others: None }
    }
}

impl<T> Queue<T> {
    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) const fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(super) const fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    pub(super) fn push_back(&mut self, element: T) {
        if self.first.is_none() {
            self.first = Some(element);
        } else {
            self.others.get_or_insert_default().push_back(element);
        }
    }

    pub(super) fn push_front(&mut self, element: T) {
        if let Some(second) = self.first.replace(element) {
            self.others.get_or_insert_default().push_front(second);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.first.take()?;
        self.first = self.others.as_mut().and_then(|others| others.pop_front());
        Some(first)
    }

    /// Takes elements off its front for as long as they match.
    pub(super) fn drain_while(&mut self, matches: impl Fn(&T) -> bool) -> impl Iterator<Item = T> {
        iter::from_fn(move || if matches(self.front()?) { self.pop_front() } else { None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_as_the_usual_queue(steps in vec((0_u8..4, any::<u8>()), 0..40)) {
            let (mut queue, mut model) = (Queue::default(), VecDeque::new());
            for (step, element) in steps {
                match step {
                    0 => {
                        queue.push_back(element);
                        model.push_back(element);
                    }
                    1 => {
                        queue.push_front(element);
                        model.push_front(element);
                    }
                    2 => prop_assert_eq!(queue.pop_front(), model.pop_front()),
                    _ => {
                        let drained: Vec<_> = queue.drain_while(|each| *each < element).collect();
                        let count = model.iter().take_while(|each| **each < element).count();
                        prop_assert_eq!(drained, model.drain(..count).collect::<Vec<_>>());
                    }
                }
                prop_assert_eq!((queue.front(), queue.is_empty()), (model.front(), model.is_empty()));
            }
        }
    }
}
