//! A POST on its way to the link.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::clock::clock_now;
use super::handle::Bridge;
use crate::session::{Packets, PushOutcome, PushRefused};

impl Bridge {
    /// Announces a POST whose head came in.
    ///
    /// # Errors
    /// The POST is refused; after an overlap the session is over.
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

/// A POST under way. Dropped before it is settled, its connection broke.
#[derive(Debug)]
pub struct Push {
    bridge: Arc<Bridge>,
    outcome: oneshot::Receiver<PushOutcome>,
    settled: bool,
}

impl Push {
    /// Returns the session that it is for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Ready when the session has ended this POST while its body was still coming in.
    pub async fn interrupted(&mut self) {
        let _ = (&mut self.outcome).await;
    }

    /// Hands over the packets of a body of `len` bytes, and waits until the link has taken their messages.
    pub async fn send(mut self, packets: Packets, len: usize) -> PushOutcome {
        self.settled = true;
        self.bridge.turn(|driver| {
            driver.push_rest = len;
            driver.session.handle_push(packets, clock_now());
            driver.drive_inline();
        });
        // A session that is over has no word for it: then nobody took its messages.
        (&mut self.outcome).await.unwrap_or(PushOutcome::Refused)
    }

    /// Nothing of the body is taken, and the session goes on without it.
    pub fn withdraw(mut self) {
        self.settled = true;
        self.bridge.turn(|driver| driver.session.handle_push_too_large());
    }

    /// The body is of a kind that the dialect does not know: the session is over.
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
