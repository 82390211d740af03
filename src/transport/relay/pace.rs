//! How fast the client of a relayed session may send: once it has sent too much, it is not read for a while.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::bucket::Bucket;
use crate::session::Rate;

/// What a client has sent of late. A relay reads before it knows what it has read, so the client waits afterwards.
#[derive(Default, Debug)]
pub(super) struct Pace {
    sent: Bucket,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Counts what has come, by its price. Returns whether that is too much, so that a pause begins.
    pub(super) fn charge(&mut self, price: Duration) -> bool {
        if price.is_zero() {
            return false;
        }
        let now = Instant::now().into_std();
        self.sent.charge(price, now);
        if self.pause.is_none() {
            let until = self.sent.opens_at(Duration::ZERO, Rate::DEPTH, now);
            self.pause = until.map(|until| Box::pin(sleep_until(until.into())));
        }
        self.pause.is_some()
    }

    /// Returns whether the client must not be read now; the task is woken when that is over.
    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>) -> bool {
        let is_paused = self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx).is_pending());
        if !is_paused {
            self.pause = None;
        }
        is_paused
    }
}
