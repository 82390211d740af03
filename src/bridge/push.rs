//! A POST on its way to the link.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::clock::clock_now;
use super::handle::Bridge;
use crate::session::{Packets, PushOutcome, PushRefused};

impl Bridge {
    /// Announces a POST whose head was read.
    ///
    /// # Errors
    /// Returns why the POST is refused; if it overlaps another, the session may be over too.
    pub fn push(self: &Arc<Self>) -> Result<Push, PushRefused> {
        let (sender, outcome) = oneshot::channel();
        let now = clock_now();
        let begun = self.turn(|driver| {
            driver.catch_up(now);
            let begun = driver.session.handle_push_begun(now);
            if begun.is_ok() {
                driver.push = Some(sender);
            } else {
                driver.drive_inline();
            }
            begun
        });
        begun.map(|()| Push { bridge: Arc::clone(self), outcome, settled: false })
    }
}

/// A POST in progress. If it is dropped before it is settled, its connection broke.
#[derive(Debug)]
pub struct Push {
    bridge: Arc<Bridge>,
    outcome: oneshot::Receiver<PushOutcome>,
    settled: bool,
}

impl Push {
    /// Returns the session that the POST belongs to.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Returns the session, for a caller that changes the POST meanwhile.
    pub fn bridge_shared(&self) -> Arc<Bridge> {
        Arc::clone(&self.bridge)
    }

    /// Waits until the session ends this POST while its body is still being read.
    pub async fn interrupted(&mut self) {
        let _ = (&mut self.outcome).await;
    }

    /// Hands over the packets of a body of `len` bytes, and waits until the link has accepted their messages.
    pub async fn send(mut self, packets: Packets, len: usize) -> PushOutcome {
        self.settled = true;
        self.bridge.turn(|driver| {
            driver.push_rest = len;
            driver.session.handle_push(packets, clock_now());
            driver.drive_inline();
        });
        // A session that has ended sends no outcome: the messages were not accepted.
        (&mut self.outcome).await.unwrap_or(PushOutcome::Refused)
    }

    /// Withdraws the POST: none of its body is accepted, and the session continues.
    pub fn withdraw(mut self) {
        self.settled = true;
        self.bridge.turn(|driver| driver.session.handle_push_too_large());
    }

    /// Rejects a body of a kind that the dialect does not know, which ends the session.
    pub fn refuse_invalid(mut self) {
        self.settled = true;
        self.bridge.turn(|driver| {
            driver.session.handle_push_invalid(clock_now());
            driver.drive_inline();
        });
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        if !self.settled {
            self.bridge.turn(|driver| {
                driver.session.handle_push_broken(clock_now());
                driver.drive_inline();
            });
        }
    }
}
