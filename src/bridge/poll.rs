//! A poll that waits for packets.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::delivery::Delivery;
use super::driver::{Batch, clock_now};
use super::handle::Bridge;
use crate::session::PollRefused;

impl Bridge {
    /// Parks a poll.
    ///
    /// # Errors
    /// The poll is refused; after an overlap the session is over.
    pub fn poll(self: &Arc<Self>) -> Result<ParkedPoll, PollRefused> {
        let (sender, receiver) = oneshot::channel();
        let now = clock_now();
        let mut driver = self.lock();
        driver.catch_up(now);
        if driver.session.reads_probe_first() {
            driver.drive_inline();
        }
        let parked = driver.session.handle_poll(now);
        if parked.is_ok() {
            driver.parked = Some(sender);
            self.info().meter.poll_parked();
        }
        driver.drive_inline();
        drop(driver);
        parked.map(|()| ParkedPoll { bridge: Arc::clone(self), receiver, answered: false })
    }
}

/// A poll that waits. Dropped before its answer, it has hung up.
#[derive(Debug)]
pub struct ParkedPoll {
    bridge: Arc<Bridge>,
    receiver: oneshot::Receiver<Batch>,
    answered: bool,
}

impl ParkedPoll {
    /// The session that it waits for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }
}

impl Future for ParkedPoll {
    /// What to write; or nothing, when the session ended without a word for this poll.
    type Output = Option<Delivery>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.receiver).poll(cx));
        self.answered = true;
        Poll::Ready(answer.ok().map(|batch| Delivery::new(Arc::clone(&self.bridge), batch)))
    }
}

impl Drop for ParkedPoll {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut driver = self.bridge.lock();
        self.receiver.close();
        if let Ok(batch) = self.receiver.try_recv() {
            // Answered, and dropped before it looked. Another poll may be parked by now.
            driver.session.handle_lost(batch.packets, clock_now());
        } else if driver.parked.as_ref().is_some_and(oneshot::Sender::is_closed) {
            driver.parked = None;
            self.bridge.info().meter.poll_released();
            driver.session.handle_poll_gone(clock_now());
        }
        driver.drive_inline();
    }
}
