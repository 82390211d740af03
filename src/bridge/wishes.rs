//! What a relayed session is asked to do from outside.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::end::End;

/// What a relayed session is asked to do from outside; the default is nothing.
#[derive(Default, Debug)]
pub struct Wishes {
    /// The greatest [`Wish`], or 0.
    wish: AtomicU8,
    waker: AtomicWaker,
}

/// A wish; a greater one outweighs the others.
#[derive(Clone, Copy)]
enum Wish {
    Drain = 1,
    Relieve = 2,
    End = 3,
}

impl Wishes {
    /// Asks it to end once it has finished what it is sending.
    pub fn drain(&self) {
        self.wish(Wish::Drain);
    }

    /// Asks it to end because of the memory that it holds.
    pub fn relieve(&self) {
        self.wish(Wish::Relieve);
    }

    /// Asks it to end for its operator.
    pub fn end(&self) {
        self.wish(Wish::End);
    }

    /// Ready once the session should end, and why. Only its own task may ask.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<End> {
        // Before the look: a wish in between would wake nobody.
        self.waker.register(cx.waker());
        match self.wish.load(Ordering::Acquire) {
            0 => Poll::Pending,
            wish if wish == Wish::Drain as u8 => Poll::Ready(End::Drained),
            wish if wish == Wish::Relieve as u8 => Poll::Ready(End::Memory),
            _ => Poll::Ready(End::Operator),
        }
    }

    fn wish(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::AcqRel);
        self.waker.wake();
    }
}
