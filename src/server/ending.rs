//! The signals to all connections that the server leaves or ends; they cost nearly nothing until they are sent.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

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
    /// How many signals there were.
    signals: AtomicU32,
    signalled: Arc<Notify>,
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
    /// Each is dropped, answered or not.
    Cut,
}

impl Ending {
    /// Returns the signals for a connection that begins now.
    pub(super) fn for_connection(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), moves: self.shared.moves.load(Ordering::SeqCst) }
    }

    /// Has every connection that has begun move its client.
    pub(super) fn move_clients(&self) {
        self.shared.moves.fetch_add(1, Ordering::SeqCst);
        self.notify();
    }

    /// Has every connection close behind its next response.
    pub(super) fn leave(&self) {
        self.signal(EndingStage::Leaving);
    }

    /// Has every connection end.
    pub(super) fn begin(&self) {
        self.signal(EndingStage::Ending);
    }

    /// Has every connection dropped.
    pub(super) fn cut(&self) {
        self.signal(EndingStage::Cut);
    }

    fn signal(&self, stage: EndingStage) {
        self.shared.stage.fetch_max(stage as u8, Ordering::SeqCst);
        self.notify();
    }

    fn notify(&self) {
        self.shared.signals.fetch_add(1, Ordering::SeqCst);
        self.shared.signalled.notify_waiters();
    }

    fn stage(&self) -> EndingStage {
        match self.shared.stage.load(Ordering::SeqCst) {
            LEAVING => EndingStage::Leaving,
            ENDING => EndingStage::Ending,
            CUT => EndingStage::Cut,
            _ if self.shared.moves.load(Ordering::SeqCst) != self.moves => EndingStage::Moving,
            _ => EndingStage::Serving,
        }
    }

    /// Waits for the end.
    pub(super) async fn signalled(&self) {
        loop {
            // Created before the check: a signal between the check and the wait would otherwise wake nobody.
            let signalled = self.shared.signalled.notified();
            if self.stage() >= EndingStage::Ending {
                return;
            }
            signalled.await;
        }
    }

    /// Runs `work` to completion, and calls `change` on it whenever the server enters another stage. Returns nothing if the
    /// connection is cut before.
    pub(super) async fn around<F: Future + Unpin>(
        &self,
        work: &mut F,
        change: impl Fn(&mut F, EndingStage),
    ) -> Option<F::Output> {
        let mut watch = Watch::new(self.clone());
        poll_fn(|cx| {
            while let Some(stage) = watch.poll_change(cx) {
                if stage == EndingStage::Cut {
                    return Poll::Ready(None);
                }
                change(work, stage);
            }
            Pin::new(&mut *work).poll(cx).map(Some)
        })
        .await
    }
}

/// Wakes a task whenever the server enters another stage.
///
/// Polling the signal takes a lock that all connections share, and a connection is polled twice per request. So the task's
/// waker is registered once for each signal, as it stays the same.
#[derive(Debug)]
pub(super) struct Watch {
    ending: Ending,
    signalled: Pin<Box<OwnedNotified>>,
    /// The signals that there were when the waker was last registered; [`NONE`](Self::NONE) if it never was.
    signals: u32,
    seen: EndingStage,
}

impl Watch {
    /// More than there ever are. A number, as an option would take more room in each connection.
    const NONE: u32 = u32::MAX;

    pub(super) fn new(ending: Ending) -> Self {
        let signalled = Box::pin(Arc::clone(&ending.shared.signalled).notified_owned());
        Self { ending, signalled, signals: Self::NONE, seen: EndingStage::Serving }
    }

    /// Prepares it for another task, which learns of what this one has seen.
    pub(super) fn renew(&mut self) {
        (self.signals, self.seen) = (Self::NONE, EndingStage::Serving);
    }

    /// Returns the server's stage if it has changed.
    pub(super) fn poll_change(&mut self, cx: &mut Context<'_>) -> Option<EndingStage> {
        let shared = &self.ending.shared;
        let mut signals = shared.signals.load(Ordering::SeqCst);
        if self.signals == signals {
            return None;
        }
        loop {
            // Registered before the next look: a signal between the two would otherwise wake nobody.
            self.signalled.set(Arc::clone(&shared.signalled).notified_owned());
            let is_registered = self.signalled.as_mut().poll(cx).is_pending();
            let before = std::mem::replace(&mut signals, shared.signals.load(Ordering::SeqCst));
            if is_registered && before == signals {
                break;
            }
        }
        self.signals = signals;
        let stage = self.ending.stage();
        (std::mem::replace(&mut self.seen, stage) != stage).then_some(stage)
    }
}

const LEAVING: u8 = EndingStage::Leaving as u8;
const ENDING: u8 = EndingStage::Ending as u8;
const CUT: u8 = EndingStage::Cut as u8;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::AtomicBool;
    use std::task::{Poll, Wake};

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
            let _ = tokio::join!(ended, server, ending.signalled());
            assert_eq!(told.borrow().len(), 1 + usize::from(leaves));
        }
    }

    #[tokio::test]
    async fn a_signal_is_heard_after_others_that_changed_nothing() {
        let server = Ending::default();
        let (mut watch, woken) = (Watch::new(server.for_connection()), Arc::new(Woken::default()));
        let waker = Arc::clone(&woken).into();
        let mut cx = Context::from_waker(&waker);
        assert_eq!(watch.poll_change(&mut cx), None);
        server.move_clients();
        assert!(woken.0.swap(false, Ordering::Relaxed));
        assert_eq!(watch.poll_change(&mut cx), Some(EndingStage::Moving));
        // It moves its client already.
        server.move_clients();
        assert!(woken.0.swap(false, Ordering::Relaxed));
        assert_eq!(watch.poll_change(&mut cx), None);
        server.cut();
        assert!(woken.0.swap(false, Ordering::Relaxed));
        assert_eq!(watch.poll_change(&mut cx), Some(EndingStage::Cut));
        watch.renew();
        assert_eq!(watch.poll_change(&mut cx), Some(EndingStage::Cut));
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
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
