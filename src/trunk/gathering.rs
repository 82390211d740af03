//! Holds a flush until every task that is already runnable has run, so that one write carries the output of all of
//! them.

use std::future::Future as _;
use std::pin::pin;
use std::task::Context;

/// Whether a flush is held.
#[derive(Default, Debug)]
pub(crate) struct Gathering {
    holds: bool,
}

impl Gathering {
    /// Begins a turn. Returns whether the turn before held its flush, which is due now.
    pub(crate) fn begin(&mut self) -> bool {
        std::mem::take(&mut self.holds)
    }

    /// Holds the flush until this task's next turn, and schedules that after every task that is runnable now.
    pub(crate) fn hold(&mut self, cx: &mut Context<'_>) {
        self.holds = true;
        // Polled once, it leaves the waker with the runtime, which wakes it after its queue and its driver had their
        // turn. Waking it here would bring it back before the driver's news.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn one_flush_carries_what_every_runnable_task_says() {
        let (tasks, said) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
        let (heard, mut gathering, mut turns) = (Arc::clone(&said), Gathering::default(), 0);
        // It runs first, as the task of a connection does that the first of many sessions has woken.
        let flush = tasks.spawn(poll_fn(move |cx| {
            turns += 1;
            if gathering.begin() {
                return Poll::Ready((turns, heard.load(Ordering::Relaxed)));
            }
            gathering.hold(cx);
            Poll::Pending
        }));
        for _ in 0..10 {
            let said = Arc::clone(&said);
            tasks.spawn(async move { said.fetch_add(1, Ordering::Relaxed) });
        }
        assert_eq!(flush.await.unwrap(), (2, 10));
    }
}
