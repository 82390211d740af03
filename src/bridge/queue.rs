//! POSTs of a client that may send several at once: each is queued once its body is complete.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::clock::clock_now;
use super::driver::Driver;
use super::handle::Bridge;
use super::places::{CompletePush, PendingOutcome, PushPlace, Queue, Waiting};
use crate::session::{Joined, Packets, PushOutcome};

impl Bridge {
    /// Waits until one more POST may be read: how much is held for the backend is limited.
    pub async fn push_place(&self) -> PushPlace {
        let places = self.turn(|driver| Arc::clone(&driver.queue().places));
        PushPlace::take(places).await
    }

    /// Queues a POST whose body of `len` bytes is complete.
    ///
    /// # Errors
    /// Returns the POST's outcome if it is already decided.
    pub fn join(
        &self,
        number: Option<u64>,
        packets: Packets,
        len: usize,
        place: PushPlace,
    ) -> Result<PendingOutcome, Joined<()>> {
        let (outcome, receiver) = oneshot::channel();
        let now = clock_now();
        self.turn(|driver| {
            driver.catch_up(now);
            driver.session.handle_heard(now);
            let waiting = Waiting::new(outcome, place);
            let joined = driver.queue().line.join(number, CompletePush { packets, len }, waiting);
            driver.feed_line();
            driver.drive_inline();
            match joined {
                Joined::Waits => Ok(receiver),
                Joined::Taken(_) => Err(Joined::Taken(())),
                Joined::Gap(_, expected) => Err(Joined::Gap((), expected)),
                Joined::Broken(_) => Err(Joined::Broken(())),
            }
        })
    }
}

impl Driver {
    /// Returns the queue, which is created on demand, as most sessions have none.
    fn queue(&mut self) -> &mut Queue {
        self.queue.get_or_insert_default()
    }

    /// Gives the session the next POST, unless one is in progress.
    fn feed_line(&mut self) {
        let Some(queue) = &mut self.queue else { return };
        let Some(CompletePush { packets, len }) = queue.line.advance() else { return };
        let now = clock_now();
        if self.session.handle_push_begun(now).is_err() {
            // This ends, although `settle_line` feeds the line again: a refusal fails everything that is queued.
            return self.settle_line(PushOutcome::Refused);
        }
        self.push_rest = len;
        self.session.handle_push(packets, now);
    }

    /// Settles the POST that the session has finished, and starts the next.
    pub(super) fn settle_line(&mut self, outcome: PushOutcome) {
        let Some(queue) = &mut self.queue else { return };
        let waiting = match outcome {
            PushOutcome::Accepted => queue.line.settle(),
            PushOutcome::Refused | PushOutcome::Destroyed => queue.line.fail_all(),
        };
        for waiting in waiting {
            let _ = waiting.outcome.send(outcome);
        }
        self.feed_line();
    }
}
