//! The state of a session's receivers: one may be parked while the responses to earlier ones are being written.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::packet::{Packet, Transport};

/// The receivers that are parked or being answered, oldest first. It reserves space for as many as there usually are.
#[derive(Default)]
pub(super) struct Polls {
    slots: Vec<Slot>,
    next: u32,
    /// The request to wake once the lock is released: if it were woken earlier, it would only wait for the lock.
    pub(super) woken: Option<Waker>,
}

/// Identifies a receiver or one of its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReceiverId(pub(super) u32);

/// The packets that answer a parked poll.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) packets: Vec<Packet>,
    /// When its oldest message arrived from the backend.
    pub(super) since: Option<Instant>,
    /// The number of its last message.
    pub(super) last: u64,
    /// The transport that carries it: polling or streaming.
    pub(super) transport: Transport,
    /// What it takes while it is on its way, in bytes: its packets, which may come back, and the response made of them.
    pub(super) cost: usize,
    /// The part of its packets.
    pub(super) held: usize,
}

struct Slot {
    id: ReceiverId,
    stage: Stage,
}

enum Stage {
    /// Waits for packets.
    Parked(Option<Waker>),
    /// Has a batch that its request has not taken yet.
    Answered(Batch),
    /// Its response is being written.
    Kept(Batch),
    /// Takes one batch after another. Boxed, as most sessions have no stream.
    Streaming(Box<Streaming>),
}

/// A stream's batches.
pub(super) struct Streaming {
    /// Batches that the stream has not taken yet.
    pub(super) parts: VecDeque<Batch>,
    /// Whether more batches may follow.
    pub(super) is_open: bool,
    waker: Option<Waker>,
}

/// The state in which a receiver is removed.
pub(super) enum Removed {
    /// It was parked.
    Parked,
    /// It was answered.
    Answered(Batch),
    /// It was a stream.
    Streaming(Box<Streaming>),
    /// It was already removed.
    Nothing,
}

impl Streaming {
    /// Adds a batch. Returns the waker to wake.
    fn take(&mut self, batch: Batch) -> Option<Waker> {
        if self.parts.is_empty() {
            self.parts.reserve_exact(1);
        }
        self.parts.push_back(Batch { transport: Transport::Streaming, ..batch });
        self.waker.take()
    }
}

impl Polls {
    /// Parks a poll. An earlier poll that is still parked is about to be answered as replaced.
    pub(super) fn park(&mut self) -> ReceiverId {
        self.enter(Stage::Parked(None), 1)
    }

    /// Parks a stream.
    pub(super) fn park_stream(&mut self) -> ReceiverId {
        let streaming = Streaming { parts: VecDeque::new(), is_open: true, waker: None };
        // With the batch that is being written.
        self.enter(Stage::Streaming(Box::new(streaming)), 2)
    }

    fn enter(&mut self, stage: Stage, room: usize) -> ReceiverId {
        let id = ReceiverId(self.next);
        self.next = self.next.wrapping_add(1);
        if self.slots.is_empty() {
            self.slots.reserve_exact(room);
        }
        self.slots.push(Slot { id, stage });
        id
    }

    /// Answers the oldest parked poll, or gives the open stream its last batch.
    ///
    /// # Errors
    /// Returns the batch if no receiver is parked.
    pub(super) fn answer(&mut self, batch: Batch) -> Result<(), Batch> {
        let Some(slot) = self.parked() else { return Err(batch) };
        let stage = &mut self.slots[slot].stage;
        let waker = if let Stage::Streaming(streaming) = stage {
            streaming.is_open = false;
            streaming.take(batch)
        } else if let Stage::Parked(waker) = std::mem::replace(stage, Stage::Answered(batch)) {
            waker
        } else {
            None
        };
        self.wake_later(waker);
        Ok(())
    }

    /// Gives the stream a batch.
    ///
    /// # Errors
    /// Returns the batch if no stream is open.
    pub(super) fn part(&mut self, batch: Batch) -> Result<(), Batch> {
        let Some(slot) = self.parked() else { return Err(batch) };
        let Stage::Streaming(streaming) = &mut self.slots[slot].stage else { return Err(batch) };
        let waker = streaming.take(batch);
        self.wake_later(waker);
        Ok(())
    }

    /// Releases the parked receiver without an answer. Returns whether there was one.
    pub(super) fn release(&mut self) -> bool {
        let Some(slot) = self.parked() else { return false };
        let waker = if let Stage::Streaming(streaming) = &mut self.slots[slot].stage {
            streaming.is_open = false;
            streaming.waker.take()
        } else if let Stage::Parked(waker) = self.slots.remove(slot).stage {
            waker
        } else {
            None
        };
        self.wake_later(waker);
        true
    }

    /// Ends a stream after the batches that it already has. Returns whether it was still open.
    pub(super) fn end_stream(&mut self, id: ReceiverId) -> bool {
        let slot = self.find(id).map(|slot| &mut self.slots[slot].stage);
        let Some(Stage::Streaming(streaming)) = slot else { return false };
        std::mem::replace(&mut streaming.is_open, false)
    }

    /// Polls for a stream's next batch, which gets an id of its own; ready with `None` once the stream has ended.
    pub(super) fn poll_part(
        &mut self,
        id: ReceiverId,
        cx: &Context<'_>,
    ) -> Poll<Option<(ReceiverId, Batch)>> {
        let Some(slot) = self.find(id) else { return Poll::Ready(None) };
        let Stage::Streaming(streaming) = &mut self.slots[slot].stage else { return Poll::Ready(None) };
        if let Some(batch) = streaming.parts.pop_front() {
            let part = ReceiverId(self.next);
            self.next = self.next.wrapping_add(1);
            return Poll::Ready(Some((part, batch)));
        }
        if !streaming.is_open {
            self.slots.remove(slot);
            return Poll::Ready(None);
        }
        streaming.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Polls for a poll's batch; ready with `None` if the poll was released.
    pub(super) fn poll(&mut self, id: ReceiverId, cx: &Context<'_>) -> Poll<Option<Batch>> {
        let Some(slot) = self.find(id) else { return Poll::Ready(None) };
        if let Stage::Parked(waker) = &mut self.slots[slot].stage {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        match self.remove(id) {
            Removed::Answered(batch) => Poll::Ready(Some(batch)),
            Removed::Parked | Removed::Streaming(_) | Removed::Nothing => Poll::Ready(None),
        }
    }

    /// Returns whether this poll waits for packets.
    pub(super) fn is_parked(&self, id: ReceiverId) -> bool {
        self.find(id).is_some_and(|slot| matches!(self.slots[slot].stage, Stage::Parked(_)))
    }

    /// Removes a receiver that disconnects or takes its batch.
    pub(super) fn remove(&mut self, id: ReceiverId) -> Removed {
        let Some(slot) = self.find(id) else { return Removed::Nothing };
        match self.slots.remove(slot).stage {
            Stage::Parked(_) => Removed::Parked,
            Stage::Answered(batch) | Stage::Kept(batch) => Removed::Answered(batch),
            Stage::Streaming(streaming) => Removed::Streaming(streaming),
        }
    }

    /// Keeps a poll's batch until it is known to be written.
    pub(super) fn keep(&mut self, id: ReceiverId, batch: Batch) {
        self.slots.push(Slot { id, stage: Stage::Kept(batch) });
    }

    /// Takes a batch that was kept.
    pub(super) fn take_kept(&mut self, id: ReceiverId) -> Option<Batch> {
        match self.remove(id) {
            Removed::Answered(batch) => Some(batch),
            Removed::Parked | Removed::Streaming(_) | Removed::Nothing => None,
        }
    }

    fn wake_later(&mut self, waker: Option<Waker>) {
        if waker.is_some()
            && let Some(before) = std::mem::replace(&mut self.woken, waker)
        {
            before.wake();
        }
    }

    fn parked(&self) -> Option<usize> {
        self.slots.iter().position(|slot| match &slot.stage {
            Stage::Parked(_) => true,
            Stage::Streaming(streaming) => streaming.is_open,
            Stage::Answered(_) | Stage::Kept(_) => false,
        })
    }

    fn find(&self, id: ReceiverId) -> Option<usize> {
        self.slots.iter().position(|slot| slot.id == id)
    }
}
