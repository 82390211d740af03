//! What became of a session's polls: one may wait, and the answers of those before it are on their way.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::packet::Packet;

/// The polls that wait or are being answered, oldest first. Hardly ever more than one, so it keeps room for one.
#[derive(Default)]
pub(super) struct Polls {
    slots: Vec<Slot>,
    next: u32,
    /// Whom to wake once the lock is free: woken before, a request would only wait for it.
    woken: Option<Waker>,
}

/// Which poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket(pub(super) u32);

/// What a parked poll is answered.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) packets: Vec<Packet>,
    /// When its oldest message came from the backend.
    pub(super) since: Option<Instant>,
}

struct Slot {
    ticket: Ticket,
    stage: Stage,
}

enum Stage {
    /// Waits for an answer.
    Parked(Option<Waker>),
    /// Has one, and has not looked yet.
    Answered(Batch),
    /// Its answer is being written.
    Kept(Batch),
}

/// What a poll leaves behind that goes away.
pub(super) enum Left {
    /// It was waiting.
    Parked,
    /// It was answered.
    Answered(Batch),
    /// The session has let it go.
    Nothing,
}

impl Polls {
    /// Parks a poll; the one before it is answered.
    pub(super) fn park(&mut self) -> Ticket {
        debug_assert!(self.parked().is_none(), "two polls are parked");
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        if self.slots.is_empty() {
            self.slots.reserve_exact(1);
        }
        self.slots.push(Slot { ticket, stage: Stage::Parked(None) });
        ticket
    }

    /// Answers the parked poll.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn answer(&mut self, batch: Batch) -> Result<(), Batch> {
        let Some(slot) = self.parked() else { return Err(batch) };
        if let Stage::Parked(waker) = std::mem::replace(&mut self.slots[slot].stage, Stage::Answered(batch)) {
            self.wake_later(waker);
        }
        Ok(())
    }

    /// Lets the parked poll go without an answer. Returns whether there was one.
    pub(super) fn release(&mut self) -> bool {
        let Some(slot) = self.parked() else { return false };
        if let Stage::Parked(waker) = self.slots.swap_remove(slot).stage {
            self.wake_later(waker);
        }
        true
    }

    /// Asks for a poll's answer; nothing comes of one that was let go.
    pub(super) fn poll(&mut self, ticket: Ticket, cx: &Context<'_>) -> Poll<Option<Batch>> {
        let Some(slot) = self.find(ticket) else { return Poll::Ready(None) };
        if let Stage::Parked(waker) = &mut self.slots[slot].stage {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        match self.leave(ticket) {
            Left::Answered(batch) => Poll::Ready(Some(batch)),
            Left::Parked | Left::Nothing => Poll::Ready(None),
        }
    }

    /// A poll goes away, or takes its answer.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Left {
        let Some(slot) = self.find(ticket) else { return Left::Nothing };
        match self.slots.swap_remove(slot).stage {
            Stage::Parked(_) => Left::Parked,
            Stage::Answered(batch) | Stage::Kept(batch) => Left::Answered(batch),
        }
    }

    /// Keeps what a poll is answered until it is known to be written.
    pub(super) fn keep(&mut self, ticket: Ticket, batch: Batch) {
        self.slots.push(Slot { ticket, stage: Stage::Kept(batch) });
    }

    /// What was kept.
    pub(super) fn take_kept(&mut self, ticket: Ticket) -> Option<Batch> {
        match self.leave(ticket) {
            Left::Answered(batch) => Some(batch),
            Left::Parked | Left::Nothing => None,
        }
    }

    /// The poll that has been answered or let go, to be woken without the lock.
    pub(super) fn take_woken(&mut self) -> Option<Waker> {
        self.woken.take()
    }

    fn wake_later(&mut self, waker: Option<Waker>) {
        if let Some(before) = std::mem::replace(&mut self.woken, waker) {
            before.wake();
        }
    }

    fn parked(&self) -> Option<usize> {
        self.slots.iter().position(|slot| matches!(slot.stage, Stage::Parked(_)))
    }

    fn find(&self, ticket: Ticket) -> Option<usize> {
        self.slots.iter().position(|slot| slot.ticket == ticket)
    }
}
