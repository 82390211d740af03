//! A session's single timer, which is allowed to fire early instead of being moved, and the current time.
//!
//! Deadlines usually move later, with every pong and every poll. Moving a timer takes a lock that all timers share;
//! letting it fire early costs one turn of the session in which nothing is due.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

/// A timer, armed for the session's next deadline or earlier.
#[derive(Default)]
pub(super) struct Clock {
    sleep: Option<Pin<Box<Sleep>>>,
    /// The time it is armed for; `None` if it has fired, or holds the waker of another task.
    armed: Option<Instant>,
}

impl Clock {
    /// Disarms the timer, whose waker belongs to a former task.
    pub(super) const fn disarm(&mut self) {
        self.armed = None;
    }

    /// Returns whether a deadline may have passed: there is none before the one that the timer is armed for.
    pub(super) fn may_be_due(&self, now: Instant) -> bool {
        self.armed.is_none_or(|armed| armed <= now)
    }

    /// Polls the timer, ready once `deadline` or an earlier deadline that it was armed for has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let at = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // A deadline that moved later leaves the timer unchanged: it fires early once.
        if self.armed.is_none_or(|armed| deadline < armed) {
            sleep.as_mut().reset(at);
            self.armed = Some(deadline);
        } else if !sleep.is_elapsed() {
            // The timer already holds the waker, and polling it again is expensive.
            return Poll::Pending;
        }
        // Polled even if the task has used up its budget: a timer that was not polled has no waker.
        let fired = pin!(unconstrained(sleep.as_mut())).poll(cx);
        if fired.is_ready() {
            self.armed = None;
        }
        fired
    }
}

/// Returns the current time, on the clock that tests can pause.
pub(super) fn clock_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_away_leaves_the_timer_where_it_is() {
        let (mut clock, start) = (Clock::default(), clock_now());
        poll_fn(|cx| {
            for later in (1..100).rev().chain(1..100) {
                assert!(clock.poll(cx, start + later * SECOND).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        assert_eq!(clock.armed, Some(start + SECOND));
        // It fires early once, and then at the deadline.
        for fires in [1, 100] {
            poll_fn(|cx| clock.poll(cx, start + 100 * SECOND)).await;
            assert_eq!(clock_now(), start + fires * SECOND);
        }
    }
}
