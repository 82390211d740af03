//! A poll that waits for packets.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::clock::clock_now;
use super::delivery::Delivery;
use super::driver::Driver;
use super::handle::Bridge;
use super::polls::{ReceiverId, Removed};
use crate::session::{CursorRefused, PollRefused, Terms};

impl Bridge {
    /// Parks a poll until there are packets for it.
    ///
    /// # Errors
    /// Returns why the poll is refused; if it overlaps another, the session may be over too.
    pub fn poll(self: &Arc<Self>) -> Result<ParkedPoll, PollRefused> {
        self.poll_on(Terms::default()).map_err(|refused| match refused {
            ReceiverRefused::Poll(refused) => refused,
            // Only a request that names a cursor is refused for it.
            ReceiverRefused::Cursor(_) => PollRefused::Over,
        })
    }

    /// Parks a poll with these terms.
    ///
    /// # Errors
    /// Returns why the poll is refused, or that the client cannot have received as much as its cursor says.
    pub fn poll_on(self: &Arc<Self>, terms: Terms) -> Result<ParkedPoll, ReceiverRefused> {
        let id = self.receive(terms.after, |driver, now| {
            driver.session.handle_poll_on(terms, now)?;
            Ok(driver.polls.park())
        })?;
        Ok(ParkedPoll { bridge: Arc::clone(self), id, answered: false })
    }

    /// Parks a receiver. The cursor and the new receiver are handled in one turn, so that what the cursor causes to be
    /// resent goes to the new receiver, not to the one before.
    pub(super) fn receive(
        &self,
        after: Option<u64>,
        park: impl FnOnce(&mut Driver, Instant) -> Result<ReceiverId, PollRefused>,
    ) -> Result<ReceiverId, ReceiverRefused> {
        let now = clock_now();
        self.turn(|driver| {
            driver.catch_up(now);
            if driver.session.reads_probe_first() {
                driver.drive_inline();
            }
            if driver.session.is_ended() {
                return Err(ReceiverRefused::Poll(PollRefused::Over));
            }
            driver.session.handle_cursor(after, now).map_err(ReceiverRefused::Cursor)?;
            let parked = park(driver, now);
            if parked.is_ok() {
                self.info().meter.poll_parked();
            }
            driver.drive_inline();
            parked.map_err(ReceiverRefused::Poll)
        })
    }
}

/// Why a receiver is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiverRefused {
    /// It may not be parked.
    Poll(PollRefused),
    /// Its client cannot have received as much as its cursor says; nothing has changed.
    Cursor(CursorRefused),
}

/// A parked poll. If it is dropped before it is answered, its client has disconnected.
#[derive(Debug)]
pub struct ParkedPoll {
    bridge: Arc<Bridge>,
    id: ReceiverId,
    answered: bool,
}

impl ParkedPoll {
    /// Returns the session that it waits for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Has it answered at once, with what there is: its client is to come by another way.
    pub fn release(&self) {
        self.bridge.turn(|driver| {
            if driver.polls.is_parked(self.id) {
                driver.session.handle_released(clock_now());
                driver.drive_inline();
            }
        });
    }

    /// Gives the poll's place back: its client has been told nothing, and may ask again on another way. The session lives
    /// on, and keeps what the poll was to get.
    pub fn withdraw(mut self) {
        self.answered = true;
        let now = clock_now();
        self.bridge.turn(|driver| {
            match driver.polls.remove(self.id) {
                Removed::Answered(batch) => driver.give_back(batch, now),
                Removed::Parked => {
                    self.bridge.info().meter.poll_released();
                    driver.session.handle_receiver_done();
                }
                Removed::Streaming(_) | Removed::Nothing => {}
            }
            driver.drive_inline();
        });
    }
}

impl Future for ParkedPoll {
    /// The packets to write, or `None` if the session ended without any for this poll.
    type Output = Option<Delivery>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.bridge.turn(|driver| driver.polls.poll(self.id, cx)));
        self.answered = true;
        Poll::Ready(answer.map(|batch| Delivery::new(Arc::clone(&self.bridge), self.id, batch)))
    }
}

impl Drop for ParkedPoll {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.bridge.turn(|driver| {
            match driver.polls.remove(self.id) {
                // Another poll may be parked by now.
                Removed::Answered(batch) => driver.lose(batch, clock_now()),
                Removed::Parked => {
                    self.bridge.info().meter.poll_released();
                    driver.session.handle_poll_gone(clock_now());
                }
                Removed::Streaming(_) | Removed::Nothing => {}
            }
            driver.drive_inline();
        });
    }
}
