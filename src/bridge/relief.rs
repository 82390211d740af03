//! What happens to sessions when memory is short: they are held back, the heaviest end, and those that were held back
//! are woken.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::clock::clock_now;
use super::driver::Driver;
use super::entry::Entry;
use super::handle::Bridge;
use super::polls::{Batch, ReceiverId};
use super::registry::Registry;
use crate::budget::{Charge, Due, Holder, choose};
use crate::limited::{Limit, Limited};

impl Driver {
    /// Counts what its buffers take now. The pipes are asked only if they may have changed.
    pub(super) fn count(&mut self) {
        if std::mem::take(&mut self.have_pipes_changed) {
            self.holding.set_pipes(self.held_by_pipes());
        }
        debug_assert_eq!(self.holding.pipes(), self.held_by_pipes(), "a pipe has changed in silence");
        let from_client = self.session.waiting_for_link().map_or(0, |ahead| ahead.max(self.push_rest));
        let queued = self.queue.as_ref().map_or(0, |queue| queue.line.waiting().map(|push| push.len).sum());
        let waiting = self.session.waiting_for_client() + from_client + queued;
        self.holding.set(waiting + self.delivering + self.holding.pipes());
    }

    /// Keeps a batch until it is known to be written. So many bytes were made of it.
    pub(super) fn keep(&mut self, id: ReceiverId, mut batch: Batch, written: usize) {
        let before = std::mem::replace(&mut batch.cost, batch.held + written);
        self.delivering = self.delivering - before + batch.cost;
        // What was measured before did not know the framing. That it was less will be seen soon enough.
        if batch.cost > before {
            self.count();
        }
        self.polls.keep(id, batch);
    }

    fn held_by_pipes(&self) -> usize {
        let link = self.link.as_ref().map_or(0, |link| link.held());
        link + self.socket.as_ref().map_or(0, |socket| socket.held())
    }

    /// Tells the session how much may wait for its client. What is on its way there counts too.
    pub(super) fn make_room(&mut self, now: Instant) {
        let mut room = self.holding.room();
        if room != usize::MAX {
            let written = self.socket.as_ref().map_or(0, |socket| socket.held());
            room = room.saturating_sub(self.delivering + written);
        }
        self.session.handle_room(room, self.holding.rest(), now);
        self.holding.hold_back(room != usize::MAX && self.session.is_held_back());
    }

    fn holder(&self, now: Instant) -> Holder<()> {
        let shared = self.link.as_ref().map_or(0, |link| link.shared());
        let shared = shared + self.socket.as_ref().map_or(0, |socket| socket.shared());
        let since = self.session.waiting_since();
        let age = since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        Holder { id: (), bytes: self.holding.bytes() + shared, age }
    }
}

impl Bridge {
    /// Creates a charge of the session's budget.
    pub fn charge(&self) -> Charge {
        self.turn(|driver| driver.holding.budget().charge())
    }

    /// Returns what the session holds.
    pub(super) fn holder(&self, now: Instant) -> Holder<()> {
        self.turn(|driver| driver.holder(now))
    }

    /// Ends the session because of the memory that it holds.
    pub(super) fn end_for_memory(&self) {
        self.turn(|driver| {
            driver.session.handle_shortage(clock_now());
            driver.drive_inline();
        });
    }

    /// Has the session read its backend again if it was held back.
    fn wake_if_held_back(&self) {
        self.turn(|driver| {
            if driver.holding.is_held_back() {
                driver.waker.wake_by_ref();
            }
        });
    }
}

impl Registry {
    /// Takes care of the budget for as long as the process runs.
    pub async fn run_relief(self, limited: Limited) {
        let mut relief = self.budget().relieve();
        loop {
            match poll_fn(|cx| self.budget().poll_due(cx)).await {
                Due::Ends => {
                    let ended = self.end_heaviest();
                    for _ in 0..ended {
                        limited.reached(Limit::MemoryMax, None);
                    }
                    if ended == 0 {
                        // What takes the memory belongs to no session.
                        drop(relief);
                        sleep(PAUSE).await;
                        relief = self.budget().relieve();
                    }
                }
                Due::Wakes => self.wake_held_back().await,
            }
        }
    }

    /// Ends the sessions that have held most for longest, until the rest holds little enough. Returns their number.
    fn end_heaviest(&self) -> usize {
        let now = clock_now();
        let holders = self.all().into_iter().map(|entry| {
            let Holder { bytes, age, .. } = entry.holder(now);
            Holder { id: entry, bytes, age }
        });
        let chosen = choose(holders, self.budget().share(), self.budget().excess());
        chosen.iter().for_each(Entry::end_for_memory);
        chosen.len()
    }

    /// Wakes the sessions that were held back, a few at a time. If the budget is tight again, the rest waits until it eases.
    async fn wake_held_back(&self) {
        // A relay is never held back: it only reads less at once.
        let bridges = self.all().into_iter().filter_map(|entry| match entry {
            Entry::Bridge(bridge) => Some(bridge),
            Entry::Relay(_) => None,
        });
        for (number, bridge) in bridges.enumerate() {
            if number % WOKEN_AT_ONCE == 0 {
                // Those that were woken run first, and show what they take.
                tokio::task::yield_now().await;
                if self.budget().is_tight() {
                    return;
                }
            }
            bridge.wake_if_held_back();
        }
    }
}

/// Until the next look, if nobody could be ended.
const PAUSE: Duration = Duration::from_millis(100);
/// A thread is busy with so many for a millisecond.
const WOKEN_AT_ONCE: usize = 64;
