//! A stream that waits for packets, and takes one batch after another.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::clock::clock_now;
use super::delivery::Delivery;
use super::handle::Bridge;
use super::poll::ReceiverRefused;
use super::polls::{Left, Ticket};
use crate::session::Terms;

impl Bridge {
    /// Parks a stream with these terms.
    ///
    /// # Errors
    /// Returns why the stream is refused; if it overlaps another receiver, the session may be over too.
    pub fn stream(self: &Arc<Self>, terms: Terms) -> Result<ParkedStream, ReceiverRefused> {
        let ticket = self.receive(terms.after, |driver, now| {
            driver.session.handle_stream(terms, now)?;
            Ok(driver.polls.park_stream())
        })?;
        Ok(ParkedStream { bridge: Arc::clone(self), ticket })
    }
}

/// A parked stream. If it is dropped before its end, its client has disconnected.
#[derive(Debug)]
pub struct ParkedStream {
    bridge: Arc<Bridge>,
    ticket: Ticket,
}

impl ParkedStream {
    /// Returns the session that it waits for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Polls for the next batch; ready with `None` once the stream has ended.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let part = self.bridge.turn(|driver| driver.polls.poll_part(self.ticket, cx));
        part.map(|part| part.map(|(ticket, batch)| Delivery::new(Arc::clone(&self.bridge), ticket, batch)))
    }

    /// Ends the stream after the batches that it already has; its session continues.
    pub fn end(&mut self) {
        self.bridge.turn(|driver| {
            if driver.polls.end_stream(self.ticket) {
                self.bridge.info().meter.poll_released();
                driver.session.handle_receiver_done();
                driver.drive_inline();
            }
        });
    }
}

impl Drop for ParkedStream {
    fn drop(&mut self) {
        self.bridge.turn(|driver| {
            let Left::Streaming(streaming) = driver.polls.leave(self.ticket) else { return };
            // Newest first: each batch is put back in front of the ones after it.
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
