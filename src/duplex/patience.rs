//! How long the other side of a stream may stop reading, and how long it may wait itself.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A limit that a stream shares with those that know what it currently carries: a connection serves one route after
/// another.
#[derive(Clone, Debug)]
pub struct Patience(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit_ms: AtomicU64,
    half_close_ms: AtomicU64,
    unread_ms: AtomicU64,
    over: AtomicBool,
}

impl Patience {
    /// Creates patience with this limit.
    pub fn new(limit: Duration) -> Self {
        Self(Arc::new(Inner {
            limit_ms: AtomicU64::new(millis(limit)),
            half_close_ms: AtomicU64::new(0),
            unread_ms: AtomicU64::new(millis(UNREAD_FACTOR * limit)),
            over: AtomicBool::new(false),
        }))
    }

    /// Sets the limit, from the next wait on.
    pub fn set(&self, limit: Duration) {
        self.0.limit_ms.store(millis(limit), Ordering::Relaxed);
        self.set_unread(UNREAD_FACTOR * limit);
    }

    /// Sets how long unread bytes may exceed what is read ahead, while the other side waits for something: its end of
    /// stream may follow them.
    fn set_unread(&self, limit: Duration) {
        self.0.unread_ms.store(millis(limit), Ordering::Relaxed);
    }

    pub(super) fn unread(&self) -> Duration {
        Duration::from_millis(self.0.unread_ms.load(Ordering::Relaxed))
    }

    /// Sets how long the other side may still wait for its response after it has closed its own sending side.
    pub fn set_half_close(&self, limit: Duration) {
        self.0.half_close_ms.store(millis(limit), Ordering::Relaxed);
    }

    pub(super) fn half_close(&self) -> Duration {
        Duration::from_millis(self.0.half_close_ms.load(Ordering::Relaxed))
    }

    /// Returns how long a write may wait.
    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.0.limit_ms.load(Ordering::Relaxed))
    }

    /// Returns whether the stream was ended because the limit was exceeded.
    pub fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Relaxed)
    }

    /// Records that the limit was exceeded, and returns the error that says so.
    pub fn run_out(&self) -> io::Error {
        self.0.over.store(true, Ordering::Relaxed);
        io::Error::new(io::ErrorKind::TimedOut, Stalled(self.limit()))
    }
}

/// The other side read nothing for this long, while something waited for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the other side read nothing for {} ms", .0.as_millis())]
pub struct Stalled(pub Duration);

impl Stalled {
    /// Finds it among the causes of an error.
    pub fn among(error: &(dyn Error + 'static)) -> Option<Self> {
        let inside = |error: &(dyn Error + 'static)| match error.downcast_ref::<io::Error>() {
            // An io::Error does not return the error inside it as its source.
            Some(broken) => broken.get_ref().and_then(|inner| inner.downcast_ref().copied()),
            None => error.downcast_ref().copied(),
        };
        std::iter::successors(Some(error), |&error| error.source()).find_map(inside)
    }
}

/// Unread bytes may be a body whose receiver may stop reading for as long; that side is to be blamed first.
const UNREAD_FACTOR: u32 = 2;

fn millis(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::duplex::Duplex;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_breaks_when_patience_runs_out() {
        let (ours, theirs) = duplex(4);
        let patience = Patience::new(LIMIT * 2);
        let mut ours = Duplex::from(ours).with_patience(Some(patience.clone()));
        patience.set(LIMIT);
        let start = Instant::now();
        let error = ours.write_all(b"12345").await.unwrap_err();
        assert_eq!((start.elapsed().as_secs(), Stalled::among(&error)), (1, Some(Stalled(LIMIT))));
        assert!(patience.is_over());
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_a_little_now_and_then_is_waited_for() {
        let (ours, mut theirs) = duplex(1);
        let patience = Patience::new(LIMIT);
        let mut ours = Duplex::from(ours).with_patience(Some(patience.clone()));
        let reader = async {
            for _ in 0..5 {
                sleep(LIMIT * 9 / 10).await;
                theirs.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(ours.write_all(b"12345"), reader);
        assert!(written.is_ok() && !patience.is_over());
        // Nothing waits to be written: that may last for any time.
        sleep(LIMIT * 100).await;
        ours.write_all(b"6").await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_it_a_write_waits() {
        let (ours, mut theirs) = duplex(1);
        let mut ours = Duplex::from(ours).with_patience(None);
        let reader = async {
            sleep(LIMIT * 1000).await;
            theirs.read_u16().await.unwrap();
        };
        let (written, ()) = tokio::join!(ours.write_all(b"12"), reader);
        written.unwrap();
    }
}
