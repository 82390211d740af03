//! A stream: a response that continues while there are packets for its client. Each part is one piece of the body and
//! has its own receipt.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::bridge::ParkedStream;
use crate::dialect::{Framing, Part, StreamHead};
use crate::duplex::{Piece, Unflushed};
use crate::meter::Direction;
use crate::packet::{Packet, Transport};

/// The body of a streamed response.
#[derive(Debug)]
pub struct Stream {
    parked: ParkedStream,
    framing: Arc<dyn Framing>,
    prelude: Bytes,
    /// How many more units the body may carry.
    left: usize,
    connection: Option<Unflushed>,
}

impl Stream {
    /// Creates the body, which begins as `head` says.
    pub(super) fn new(parked: ParkedStream, framing: Arc<dyn Framing>, head: StreamHead) -> Self {
        let StreamHead { prelude, budget, content_type: _ } = head;
        Self { parked, framing, prelude, left: budget, connection: None }
    }

    pub(super) fn set_connection(&mut self, unflushed: &Unflushed) {
        self.connection = Some(unflushed.clone());
    }

    /// Ends it after the batches that it already has: its client opens another.
    pub(super) fn release(&mut self) {
        self.parked.end();
    }

    /// Polls for the next piece; ready with `None` once the stream has ended.
    pub(super) fn poll_piece(&mut self, cx: &Context<'_>) -> Poll<Option<Piece>> {
        if !self.prelude.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.prelude).into()));
        }
        loop {
            let Some(delivery) = ready!(self.parked.poll_next(cx)) else { return Poll::Ready(None) };
            let Part { bytes, units } = self.framing.encode_part(delivery.packets(), delivery.last());
            let meter = &delivery.bridge().info().meter;
            meter.batch(delivery.packets().len(), bytes.len());
            let payload: usize = delivery.packets().iter().map(Packet::message_len).sum();
            let overhead = bytes.len().saturating_sub(payload);
            meter.overhead(Direction::ToClient, Transport::Streaming, overhead as u64);
            self.left = self.left.saturating_sub(units);
            if self.left == 0 {
                self.parked.end();
            }
            let is_empty = bytes.is_empty();
            let receipt = delivery.into_receipt(bytes.len());
            let piece = Piece::with_receipt(bytes, receipt, self.connection.clone());
            // An empty piece would end the body. Its receipt is already with the connection.
            if !is_empty {
                return Poll::Ready(Some(piece));
            }
        }
    }
}
