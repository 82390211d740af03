//! How fast the client of a relayed session may send: once it has sent too much, it is not read for a while.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::bucket::Bucket;
use crate::session::Rate;

/// What a client has sent of late. A relay reads before it knows what it has read, so it reads little at once, and the
/// client waits afterwards.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    sent: Bucket,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, sent: Bucket::default(), pause: None }
    }

    /// Returns how many bytes are read until they are counted: as much as may come in a second, even if it is the shortest
    /// of messages.
    pub(super) fn turn_len(&self) -> usize {
        let messages = self.rate.messages.map(|messages| u64::from(messages) * SHORTEST_LEN);
        let most = messages.into_iter().chain(self.rate.bytes.map(u64::from)).min();
        most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX).max(TURN_LEN_MIN))
    }

    /// Counts what has come. Returns whether that is too much, so that a pause begins.
    pub(super) fn charge(&mut self, messages: u64, bytes: u64) -> bool {
        let price = self.rate.price(messages, bytes);
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

/// The length of a masked frame of one byte.
const SHORTEST_LEN: u64 = 7;
/// A frame's header, and enough behind it that a read is worth its call.
const TURN_LEN_MIN: usize = 1 << 10;
