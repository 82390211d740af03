//! A backend's heartbeat: whether it is overdue, and when the next ping must be sent.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::upstream::Heartbeat;

/// Detects that a backend which is being read has fallen silent.
#[derive(Debug)]
pub(super) struct Pulse {
    /// From one sign of life until the next is overdue.
    period: Duration,
    heard: Instant,
    /// Never earlier than needed, and often later: it is moved when it fires, not when the backend sends something.
    alarm: Pin<Box<Sleep>>,
}

impl Pulse {
    pub(super) fn new(heartbeat: Heartbeat) -> Self {
        let period = heartbeat.interval + heartbeat.timeout;
        let heard = Instant::now();
        Self { period, heard, alarm: Box::pin(sleep_until(heard + period)) }
    }

    pub(super) fn note_heard(&mut self) {
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

/// Times the pings that we must send.
#[derive(Debug)]
pub(super) struct Pinger {
    interval: Duration,
    clock: Pin<Box<Sleep>>,
}

impl Pinger {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, clock: Box::pin(sleep_until(Instant::now() + interval)) }
    }

    /// Returns whether a ping is due, and sets the timer for the next one.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self.clock.as_mut().poll(cx).is_ready();
        if due {
            self.clock.as_mut().reset(Instant::now() + self.interval);
            let _ = self.clock.as_mut().poll(cx);
        }
        due
    }
}

/// The longest delay of a driver that is reading.
const LATE: Duration = Duration::from_secs(1);
