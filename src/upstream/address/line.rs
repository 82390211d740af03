//! The wait for a place at a full upstream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::queue::{Entered, Turn};
use super::set::{Purpose, Wish};
use super::{Addresses, Place, Shown};
use crate::meter::Queued;

/// The line is too long, or the wait was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::upstream) struct Overfull;

/// A place in line, until it is dropped.
struct Waiter<'a> {
    addresses: &'a Addresses,
    purpose: Purpose,
    number: u64,
    turn: oneshot::Receiver<Turn>,
    since: Instant,
    outcome: Queued,
}

impl Addresses {
    /// Waits in line until an address that works has room; returns `None` if there is none to wait for.
    ///
    /// # Errors
    /// The line is too long, or the wait was.
    pub(in crate::upstream) async fn wait(
        self: &Arc<Self>,
        wish: Wish<'_>,
    ) -> Result<Option<Place>, Overfull> {
        let (since, purpose) = (Instant::now(), wish.purpose);
        let (entered, longest) = self.with_all(|Shown { set, queue, limits, .. }| {
            (queue.enter(set, wish, limits.queue, since), limits.queue_timeout)
        });
        let turn = match entered {
            Entered::Turn(turn) => turn,
            Entered::Waits(number, turn) => {
                let mut waiter =
                    Waiter { addresses: self, purpose, number, turn, since, outcome: Queued::Left };
                let ended = timeout(longest, &mut waiter.turn).await;
                waiter.outcome = if ended.is_ok() { Queued::Served } else { Queued::TimedOut };
                ended.map_err(|_| Overfull)?.unwrap_or_default()
            }
            Entered::Refused => {
                self.dials.has_queued(Queued::Refused, Duration::ZERO);
                return Err(Overfull);
            }
        };
        Ok(turn.map(|endpoint| self.place(endpoint, purpose)))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let Self { addresses, purpose, number, turn, .. } = self;
        addresses.with_all(|Shown { set, queue, .. }| {
            // Its turn may have come in vain.
            if !queue.leave(*number)
                && let Ok(Some(endpoint)) = turn.try_recv()
            {
                set.leave(endpoint, *purpose);
            }
        });
        addresses.dials.has_queued(self.outcome, self.since.elapsed());
    }
}
