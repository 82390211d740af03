//! A batch on its way to the client, which is either written or lost.

use std::fmt;
use std::sync::Arc;

use super::clock::clock_now;
use super::handle::Bridge;
use super::polls::{Batch, ReceiverId};
use crate::duplex::{Receipt, Settle};
use crate::packet::Packet;

/// Packets that answer a poll.
///
/// They are written together with a [`Receipt`]. If the delivery is dropped before then, the session learns that they
/// are lost.
pub struct Delivery {
    bridge: Arc<Bridge>,
    id: ReceiverId,
    /// `None` once a receipt was issued.
    batch: Option<Batch>,
}

impl Delivery {
    pub(super) fn new(bridge: Arc<Bridge>, id: ReceiverId, batch: Batch) -> Self {
        Self { bridge, id, batch: Some(batch) }
    }

    /// Returns the session that the packets belong to.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Returns the packets to write.
    pub fn packets(&self) -> &[Packet] {
        self.batch.as_ref().map_or(&[], |batch| &batch.packets)
    }

    /// Returns the number of the last message in the batch, or of the last one before it if it has none.
    pub fn last(&self) -> u64 {
        self.batch.as_ref().map_or(0, |batch| batch.last)
    }

    /// Returns the receipt to attach to the bytes that were made of the packets, whose number is `written`. The session
    /// keeps the packets until the receipt is settled or lost.
    pub fn into_receipt(mut self, written: usize) -> Receipt {
        // Kept before the receipt exists: one that is dropped at once reports a loss, which hands these packets back.
        if let Some(batch) = self.batch.take() {
            self.bridge.turn(|driver| driver.keep(self.id, batch, written));
        }
        Receipt::new(Arc::clone(&self.bridge) as Arc<dyn Settle>, self.id.0)
    }

    /// Reports the packets as written to the client's connection.
    #[cfg(test)]
    pub(crate) fn settle(self) {
        self.into_receipt(0).settle();
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.bridge.turn(|driver| {
                driver.lose(batch, clock_now());
                driver.drive_inline();
            });
        }
    }
}

impl Settle for Bridge {
    fn settled(&self, number: u32) {
        let batch = self.turn(|driver| {
            let batch = driver.polls.take_kept(ReceiverId(number));
            driver.delivering -= batch.as_ref().map_or(0, |batch| batch.cost);
            driver.session.handle_delivered();
            if driver.is_at_rest() {
                driver.count();
            } else {
                driver.drive_inline();
            }
            // Counted and freed outside the lock.
            batch
        });
        let Some(Batch { packets, since, transport, .. }) = batch else { return };
        let messages = packets.iter().filter(|packet| matches!(packet, Packet::Message(_)));
        let (count, bytes) =
            messages.fold((0, 0), |(count, sum), packet| (count + 1, sum + packet.len() as u64));
        if count > 0 {
            self.info().to_client(transport, count, bytes);
            if let Some(since) = since {
                self.info().meter.delivered_after(transport, clock_now().saturating_duration_since(since));
            }
        }
    }

    fn lost(&self, number: u32) {
        self.turn(|driver| {
            if let Some(batch) = driver.polls.take_kept(ReceiverId(number)) {
                driver.lose(batch, clock_now());
                driver.drive_inline();
            }
        });
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} packets)", self.packets().len())
    }
}
