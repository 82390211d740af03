//! The deadline of opening a session.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::upstream::OpenError;

/// The deadline of the whole opening.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    span: Duration,
}

impl Deadline {
    pub(super) fn after(span: Duration) -> Self {
        let now = Instant::now();
        Self { at: now.checked_add(span).unwrap_or(now + YEAR), span }
    }

    /// Returns the deadline of another attempt that has as much time.
    pub(super) fn again(self) -> Self {
        Self::after(self.span)
    }

    /// Waits for `work` until the deadline.
    pub(super) async fn bound<F: Future>(&self, work: F) -> Result<F::Output, OpenError> {
        timeout_at(self.at, work).await.map_err(|_| OpenError::Slow(self.span))
    }
}

/// Longer than anyone waits.
const YEAR: Duration = Duration::from_hours(365 * 24);
