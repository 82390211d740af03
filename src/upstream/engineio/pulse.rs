//! A backend's heartbeat: whether it has fallen silent, and when it wants to be asked.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::upstream::Heartbeat;

/// Notices when a backend that is being read has fallen silent.
#[derive(Debug)]
pub(super) struct Pulse {
    /// From one sign of life to the moment when the next is overdue.
    period: Duration,
    heard: Instant,
    /// Never earlier than what it is set for, and often later than needed: it is moved when it rings, not when the
    /// backend says something.
    alarm: Pin<Box<Sleep>>,
}

impl Pulse {
    pub(super) fn new(heartbeat: Heartbeat) -> Self {
        let period = heartbeat.interval + heartbeat.timeout;
        let heard = Instant::now();
        Self { period, heard, alarm: Box::pin(sleep_until(heard + period)) }
    }

    pub(super) fn hear(&mut self) {
        self.heard = Instant::now();
    }

    pub(super) fn poll_dead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            let due = self.heard + self.period;
            if (due..due + LATE).contains(&now) {
                return Poll::Ready(());
            }
            // A call long after the alarm means that nobody was reading: that pause says nothing about the backend.
            if now >= due {
                self.heard = now;
            }
            self.alarm.as_mut().reset(self.heard + self.period);
        }
    }
}

/// Keeps the time of pings that are ours to send.
#[derive(Debug)]
pub(super) struct Pinger {
    interval: Duration,
    clock: Pin<Box<Sleep>>,
}

impl Pinger {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, clock: Box::pin(sleep_until(Instant::now() + interval)) }
    }

    /// Returns whether a ping is due. The clock is set for the next one then.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.clock.as_mut().poll(cx).is_ready();
        if due {
            self.clock.as_mut().reset(Instant::now() + self.interval);
            let _ = self.clock.as_mut().poll(cx);
        }
        due
    }
}

/// How late a driver that is reading can be.
const LATE: Duration = Duration::from_secs(1);
