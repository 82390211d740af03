//! A poll that waits for packets.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::clock::clock_now;
use super::delivery::Delivery;
use super::handle::Bridge;
use super::polls::{Left, Ticket};
use crate::session::PollRefused;

impl Bridge {
    /// Parks a poll.
    ///
    /// # Errors
    /// The poll is refused; after an overlap the session is over.
    pub fn poll(self: &Arc<Self>) -> Result<ParkedPoll, PollRefused> {
        let now = clock_now();
        let parked = self.turn(|driver| {
            driver.catch_up(now);
            if driver.session.reads_probe_first() {
                driver.drive_inline();
            }
            let parked = driver.session.handle_poll(now).map(|()| driver.polls.park());
            if parked.is_ok() {
                self.info().meter.poll_parked();
            }
            driver.drive_inline();
            parked
        });
        parked.map(|ticket| ParkedPoll::new(Arc::clone(self), ticket))
    }
}

/// A poll that waits. Dropped before its answer, it has hung up.
#[derive(Debug)]
pub struct ParkedPoll {
    bridge: Arc<Bridge>,
    ticket: Ticket,
    answered: bool,
}

impl ParkedPoll {
    pub(super) fn new(bridge: Arc<Bridge>, ticket: Ticket) -> Self {
        Self { bridge, ticket, answered: false }
    }

    /// The session that it waits for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }
}

impl Future for ParkedPoll {
    /// What to write; or nothing, when the session ended without a word for this poll.
    type Output = Option<Delivery>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.bridge.turn(|driver| driver.polls.poll(self.ticket, cx)));
        self.answered = true;
        Poll::Ready(answer.map(|batch| Delivery::new(Arc::clone(&self.bridge), self.ticket, batch)))
    }
}

impl Drop for ParkedPoll {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.bridge.turn(|driver| {
            match driver.polls.leave(self.ticket) {
                // Another poll may be parked by now.
                Left::Answered(batch) => driver.lose(batch, clock_now()),
                Left::Parked => {
                    self.bridge.info().meter.poll_released();
                    driver.session.handle_poll_gone(clock_now());
                }
                Left::Streaming(_) | Left::Nothing => {}
            }
            driver.drive_inline();
        });
    }
}
