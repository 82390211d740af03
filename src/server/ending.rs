//! The signal to all connections that the server ends; it costs nearly nothing until it is sent.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The signal to all connections that the server ends.
#[derive(Clone, Default, Debug)]
pub(super) struct Ending(Arc<EndingInner>);

#[derive(Default, Debug)]
struct EndingInner {
    begun: AtomicBool,
    signalled: Notify,
}

impl Ending {
    /// Signals every connection.
    pub(super) fn begin(&self) {
        self.0.begun.store(true, Ordering::SeqCst);
        self.0.signalled.notify_waiters();
    }

    fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// Waits for the signal.
    pub(super) async fn signalled(&self) {
        // Created before the check: a signal between the check and the wait would otherwise wake nobody.
        let signalled = self.0.signalled.notified();
        if !self.has_begun() {
            signalled.await;
        }
    }

    /// Runs `work` to completion, and calls `end` on it once the server ends.
    ///
    /// Not a select: polling [`signalled`](Self::signalled) takes a lock that all connections share, and a connection is
    /// polled twice per request. Registering the waker once is enough, as a task's waker stays the same.
    pub(super) async fn around<F: Future + Unpin>(&self, work: &mut F, end: impl Fn(&mut F)) -> F::Output {
        let mut signalled = pin!(self.signalled());
        let (mut is_listening, mut is_ending) = (false, false);
        poll_fn(|cx| {
            if !is_listening {
                is_listening = true;
                let _ = signalled.as_mut().poll(cx);
            }
            if !is_ending && self.has_begun() {
                is_ending = true;
                end(work);
            }
            Pin::new(&mut *work).poll(cx)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::Poll;

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn the_word_alone_wakes_work_that_waits_and_ends_it_once() {
        let (ending, ends) = (Ending::default(), Cell::new(0));
        let mut work = Box::pin(poll_fn(|_| if ends.get() > 0 { Poll::Ready(()) } else { Poll::Pending }));
        let ended = ending.around(&mut work, |_| ends.set(ends.get() + 1));
        let server = async {
            for _ in 0..3 {
                yield_now().await;
            }
            assert_eq!(ends.get(), 0);
            ending.begin();
        };
        tokio::join!(ended, server);
        assert_eq!(ends.get(), 1);
    }
}
