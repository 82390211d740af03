//! How many forwarded requests are under way at once, and the line of those that wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Lets so many requests in at once. Those that come later wait in order, up to a number and for a time.
#[derive(Default, Debug)]
pub struct Gate(Mutex<Arc<Line>>);

/// How many requests may be under way, and wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestLimits {
    /// The most requests at once; `None` is as many as come.
    pub max: Option<usize>,
    /// The most that wait.
    pub queue: usize,
    /// The longest wait.
    pub queue_timeout: Duration,
}

/// One request, until it is dropped.
#[derive(Debug)]
pub struct Pass {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The line is too long, or the wait was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overcrowded;

#[derive(Debug)]
struct Line {
    limits: RequestLimits,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A place in line, until it is dropped.
struct Waiting<'l>(&'l AtomicUsize);

impl Gate {
    /// Creates a gate within these limits.
    pub fn new(limits: RequestLimits) -> Self {
        Self(Mutex::new(Arc::new(Line::new(limits))))
    }

    /// Sets the limits from now on. If the number changes, those that are inside count no more.
    pub fn limit(&self, limits: RequestLimits) {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if line.limits != limits {
            *line = Arc::new(Line::new(limits));
        }
    }

    /// Waits until a request may go on.
    ///
    /// # Errors
    /// Too many wait already, or this one has waited for too long.
    pub async fn enter(&self) -> Result<Pass, Overcrowded> {
        let line = Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if line.limits.max.is_none() {
            return Ok(Pass { _permit: None });
        }
        // Those that wait come first: while there are any, none is free.
        if let Ok(permit) = Arc::clone(&line.places).try_acquire_owned() {
            return Ok(Pass { _permit: Some(permit) });
        }
        let _waiting = Waiting::join(&line).ok_or(Overcrowded)?;
        let waited = timeout(line.limits.queue_timeout, Arc::clone(&line.places).acquire_owned()).await;
        let permit = waited.map_err(|_| Overcrowded)?.map_err(|_| Overcrowded)?;
        Ok(Pass { _permit: Some(permit) })
    }
}

impl Line {
    fn new(limits: RequestLimits) -> Self {
        let places = limits.max.unwrap_or_default().min(Semaphore::MAX_PERMITS);
        Self { limits, places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new(RequestLimits::default())
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { max: None, queue: 100, queue_timeout: Duration::from_secs(5) }
    }
}

impl<'l> Waiting<'l> {
    fn join(line: &'l Line) -> Option<Self> {
        let one_more = |count: usize| (count < line.limits.queue).then_some(count + 1);
        line.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Self(&line.waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::{Instant, advance};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits(max: usize, queue: usize) -> RequestLimits {
        RequestLimits { max: Some(max), queue, queue_timeout: SECOND }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_come_in_by_their_order_and_only_so_many_wait() {
        let gate = Gate::new(limits(2, 2));
        let (one, two) = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
        let (mut three, mut four) = (Box::pin(gate.enter()), Box::pin(gate.enter()));
        assert!((&mut three).now_or_never().is_none() && (&mut four).now_or_never().is_none());
        assert_eq!(gate.enter().await.unwrap_err(), Overcrowded);
        drop(one);
        assert!((&mut four).now_or_never().is_none(), "it is not its turn");
        let three = three.await.unwrap();
        // A place in line is free again.
        let mut five = Box::pin(gate.enter());
        assert!((&mut five).now_or_never().is_none());
        drop(four);
        drop((two, three));
        five.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_too_long() {
        let gate = Gate::new(limits(1, 1));
        let _inside = gate.enter().await.unwrap();
        let start = Instant::now();
        assert_eq!(gate.enter().await.unwrap_err(), Overcrowded);
        assert_eq!(start.elapsed(), SECOND);
        let mut waits = Box::pin(gate.enter());
        assert!((&mut waits).now_or_never().is_none(), "the one before has left the line");
    }

    #[tokio::test(start_paused = true)]
    async fn limits_change_for_those_that_come() {
        let gate = Gate::new(limits(1, 0));
        let _inside = gate.enter().await.unwrap();
        gate.limit(limits(1, 0));
        assert!(gate.enter().await.is_err(), "nothing has changed");
        gate.limit(limits(2, 0));
        let _more = (gate.enter().await.unwrap(), gate.enter().await.unwrap());
        assert!(gate.enter().await.is_err());
        gate.limit(RequestLimits::default());
        gate.enter().await.unwrap();
        advance(SECOND).await;
    }
}
