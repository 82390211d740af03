//! A stream that waits for packets, and takes one batch after another.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::clock::clock_now;
use super::delivery::Delivery;
use super::driver::Driver;
use super::handle::Bridge;
use super::poll::ParkedPoll;
use super::polls::{Left, Ticket};
use crate::session::{CursorRefused, PollRefused, Terms};

/// Why a receiver is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReceiverRefused {
    /// It can't wait.
    Poll(PollRefused),
    /// It can't be where it says; nothing has changed.
    Cursor(CursorRefused),
}

impl Bridge {
    /// Parks a poll that wants no more than this.
    ///
    /// # Errors
    /// It is refused.
    pub(crate) fn poll_on(self: &Arc<Self>, terms: Terms) -> Result<ParkedPoll, ReceiverRefused> {
        let ticket = self.receive(terms, |driver, now| {
            driver.session.handle_poll_on(terms, now)?;
            Ok(driver.polls.park())
        })?;
        Ok(ParkedPoll::new(Arc::clone(self), ticket))
    }

    /// Parks a stream that wants no more than this.
    ///
    /// # Errors
    /// It is refused; after an overlap the session is over.
    pub(crate) fn stream(self: &Arc<Self>, terms: Terms) -> Result<ParkedStream, ReceiverRefused> {
        let ticket = self.receive(terms, |driver, now| {
            driver.session.handle_stream(terms, now)?;
            Ok(driver.polls.park_stream())
        })?;
        Ok(ParkedStream { bridge: Arc::clone(self), ticket })
    }

    /// In one turn: what is told of the cursor is the newer receiver's, and not for the one before.
    fn receive(
        &self,
        terms: Terms,
        park: impl FnOnce(&mut Driver, Instant) -> Result<Ticket, PollRefused>,
    ) -> Result<Ticket, ReceiverRefused> {
        let now = clock_now();
        self.turn(|driver| {
            driver.catch_up(now);
            if driver.session.is_ended() {
                return Err(ReceiverRefused::Poll(PollRefused::Over));
            }
            driver.session.handle_cursor(terms.after, now).map_err(ReceiverRefused::Cursor)?;
            let parked = park(driver, now);
            if parked.is_ok() {
                self.info().meter.poll_parked();
            }
            driver.drive_inline();
            parked.map_err(ReceiverRefused::Poll)
        })
    }
}

/// A stream that waits. Dropped before its end, it has hung up.
#[derive(Debug)]
pub(crate) struct ParkedStream {
    bridge: Arc<Bridge>,
    ticket: Ticket,
}

impl ParkedStream {
    /// The next part, or nothing when there will be no more.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let part = self.bridge.turn(|driver| driver.polls.poll_part(self.ticket, cx));
        part.map(|part| part.map(|(ticket, batch)| Delivery::new(Arc::clone(&self.bridge), ticket, batch)))
    }
}

impl Drop for ParkedStream {
    fn drop(&mut self) {
        self.bridge.turn(|driver| {
            let Left::Streaming(streaming) = driver.polls.leave(self.ticket) else { return };
            // In the order in which they would come home.
            for batch in streaming.parts.into_iter().rev() {
                driver.lose(batch, clock_now());
            }
            if streaming.is_open {
                self.bridge.info().meter.poll_released();
                driver.session.handle_poll_gone(clock_now());
            }
            driver.drive_inline();
        });
    }
}
