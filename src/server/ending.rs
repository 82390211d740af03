//! The signals to all connections that the server leaves or ends; they cost nearly nothing until they are sent.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use tokio::sync::Notify;

/// The signals to all connections that the server leaves or ends.
#[derive(Clone, Default, Debug)]
pub(super) struct Ending {
    shared: Arc<EndingInner>,
    /// How often connections were to move before this one began.
    moves: u32,
}

#[derive(Default, Debug)]
struct EndingInner {
    stage: AtomicU8,
    moves: AtomicU32,
    signalled: Notify,
}

/// What all connections are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum EndingStage {
    /// Nothing yet.
    Serving,
    /// Its client does better with another connection, which is served otherwise, or elsewhere. Nothing ends for that:
    /// only a client of HTTP/2 can be told before its next response.
    Moving,
    /// Each closes behind its next response.
    Leaving,
    /// Each closes behind its current response; idle ones at once.
    Ending,
}

impl Ending {
    /// Returns the signals for a connection that begins now.
    pub(super) fn for_connection(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), moves: self.shared.moves.load(Ordering::SeqCst) }
    }

    /// Has every connection that has begun move its client.
    pub(super) fn move_clients(&self) {
        self.shared.moves.fetch_add(1, Ordering::SeqCst);
        self.shared.signalled.notify_waiters();
    }

    /// Has every connection close behind its next response.
    pub(super) fn leave(&self) {
        self.signal(EndingStage::Leaving);
    }

    /// Has every connection end.
    pub(super) fn begin(&self) {
        self.signal(EndingStage::Ending);
    }

    fn signal(&self, stage: EndingStage) {
        self.shared.stage.fetch_max(stage as u8, Ordering::SeqCst);
        self.shared.signalled.notify_waiters();
    }

    fn stage(&self) -> EndingStage {
        match self.shared.stage.load(Ordering::SeqCst) {
            LEAVING => EndingStage::Leaving,
            ENDING => EndingStage::Ending,
            _ if self.shared.moves.load(Ordering::SeqCst) != self.moves => EndingStage::Moving,
            _ => EndingStage::Serving,
        }
    }

    /// Waits for the end.
    pub(super) async fn signalled(&self) {
        loop {
            // Created before the check: a signal between the check and the wait would otherwise wake nobody.
            let signalled = self.shared.signalled.notified();
            if self.stage() == EndingStage::Ending {
                return;
            }
            signalled.await;
        }
    }

    /// Runs `work` to completion, and calls `change` on it whenever the server enters another stage.
    ///
    /// Not a select: polling the signal takes a lock that all connections share, and a connection is polled twice per
    /// request. Registering the waker once is enough, as a task's waker stays the same.
    pub(super) async fn around<F: Future + Unpin>(
        &self,
        work: &mut F,
        change: impl Fn(&mut F, EndingStage),
    ) -> F::Output {
        let mut signalled = pin!(self.shared.signalled.notified());
        let (mut is_listening, mut seen) = (false, EndingStage::Serving);
        poll_fn(|cx| {
            if !is_listening {
                is_listening = true;
                let _ = signalled.as_mut().poll(cx);
            }
            while self.stage() != seen {
                seen = self.stage();
                change(work, seen);
                // Before the next look, for the same reason.
                signalled.set(self.shared.signalled.notified());
                let _ = signalled.as_mut().poll(cx);
            }
            Pin::new(&mut *work).poll(cx)
        })
        .await
    }
}

const LEAVING: u8 = EndingStage::Leaving as u8;
const ENDING: u8 = EndingStage::Ending as u8;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::task::Poll;

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn the_word_alone_wakes_work_that_waits_and_ends_it_once() {
        for leaves in [false, true] {
            let (ending, told) = (Ending::default(), RefCell::new(Vec::new()));
            let has_ended = || told.borrow().contains(&EndingStage::Ending);
            let mut work = Box::pin(poll_fn(|_| if has_ended() { Poll::Ready(()) } else { Poll::Pending }));
            let ended = ending.around(&mut work, |_, stage| told.borrow_mut().push(stage));
            let server = async {
                for leaves in [false, leaves] {
                    if leaves {
                        ending.leave();
                    }
                    for _ in 0..3 {
                        yield_now().await;
                    }
                    assert_eq!(told.borrow().len(), usize::from(leaves));
                }
                ending.begin();
            };
            tokio::join!(ended, server, ending.signalled());
            assert_eq!(told.borrow().len(), 1 + usize::from(leaves));
        }
    }

    #[tokio::test]
    async fn only_connections_that_have_begun_move_their_clients() {
        let server = Ending::default();
        let before = server.for_connection();
        server.move_clients();
        let after = server.for_connection();
        assert_eq!((before.stage(), after.stage()), (EndingStage::Moving, EndingStage::Serving));
        server.leave();
        assert_eq!((before.stage(), after.stage()), (EndingStage::Leaving, EndingStage::Leaving));
        server.move_clients();
        server.begin();
        assert_eq!((before.stage(), after.stage()), (EndingStage::Ending, EndingStage::Ending));
    }
}
