//! A stream that waits for packets, and takes one batch after another.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::clock::clock_now;
use super::delivery::Delivery;
use super::handle::Bridge;
use super::poll::ReceiverRefused;
use super::polls::{ReceiverId, Removed};
use crate::session::Terms;

impl Bridge {
    /// Parks a stream with these terms.
    ///
    /// # Errors
    /// Returns why the stream is refused; if it overlaps another receiver, the session may be over too.
    pub fn stream(self: &Arc<Self>, terms: Terms) -> Result<ParkedStream, ReceiverRefused> {
        let id = self.receive(terms.after, |driver, now| {
            driver.session.handle_stream(terms, now)?;
            Ok(driver.polls.park_stream())
        })?;
        Ok(ParkedStream { bridge: Arc::clone(self), id })
    }
}

/// A parked stream. If it is dropped before its end, its client has disconnected.
#[derive(Debug)]
pub struct ParkedStream {
    bridge: Arc<Bridge>,
    id: ReceiverId,
}

impl ParkedStream {
    /// Returns the session that it waits for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Polls for the next batch; ready with `None` once the stream has ended.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let part = self.bridge.turn(|driver| driver.polls.poll_part(self.id, cx));
        part.map(|part| part.map(|(id, batch)| Delivery::new(Arc::clone(&self.bridge), id, batch)))
    }

    /// Ends the stream after the batches that it already has; its session continues.
    pub fn end(&mut self) {
        self.bridge.turn(|driver| {
            if driver.polls.end_stream(self.id) {
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
            let Removed::Streaming(streaming) = driver.polls.remove(self.id) else { return };
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
