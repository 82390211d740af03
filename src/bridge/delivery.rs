//! A batch on its way to the client: written, or home again.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::driver::clock_now;
use super::handle::Bridge;
use super::polls::Batch;
use crate::packet::{Packet, Transport};

/// Packets that answer a poll.
///
/// Whoever writes them calls [`settle`](Self::settle) at the moment when the client's connection has taken them.
/// Dropped before that, wherever on the way, the session hears that they are lost.
pub struct Delivery {
    bridge: Arc<Bridge>,
    batch: Vec<Packet>,
    /// When its oldest message came from the backend.
    since: Option<Instant>,
    settled: bool,
}

impl Delivery {
    pub(super) fn new(bridge: Arc<Bridge>, Batch { packets, since }: Batch) -> Self {
        Self { bridge, batch: packets, since, settled: false }
    }

    /// The session that it comes from.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// What to write.
    pub fn packets(&self) -> &[Packet] {
        &self.batch
    }

    /// The client's connection has them.
    pub fn settle(mut self) {
        self.settled = true;
        let messages = self.batch.iter().filter(|packet| matches!(packet, Packet::Message(_)));
        let (count, bytes) =
            messages.fold((0, 0), |(count, sum), packet| (count + 1, sum + packet.len() as u64));
        if count > 0 {
            let meter = &self.bridge.info().meter;
            meter.to_client(Transport::Polling, count, bytes);
            if let Some(since) = self.since {
                meter.delivered_after(Transport::Polling, clock_now().saturating_duration_since(since));
            }
        }
        self.bridge.turn(|driver| {
            driver.session.handle_delivered();
            driver.drive_inline();
        });
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            let batch = std::mem::take(&mut self.batch);
            self.bridge.turn(|driver| {
                driver.session.handle_lost(batch, clock_now());
                driver.drive_inline();
            });
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} packets)", self.batch.len())
    }
}
