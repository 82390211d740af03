//! Limits that were reached: each time is counted, and the log says so at most once a minute for each limit.

use std::fmt::Display;
use std::sync::Arc;

use tracing::field::display;

use crate::meter::{LimitMeter, Metrics};
use crate::throttle::Throttle;

pub use crate::meter::Limit;

/// Counts and tells how often each limit was reached.
#[derive(Clone, Debug)]
pub struct Limited(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    meter: LimitMeter,
    lines: Vec<Throttle>,
}

impl Limited {
    /// Creates what counts with these metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let lines = Limit::ALL.iter().map(|_| Throttle::default()).collect();
        Self(Arc::new(Inner { meter: metrics.limits(), lines }))
    }

    /// Counts that a limit was reached; the line says by which client, if that is known.
    pub fn reached(&self, limit: Limit, client: Option<&dyn Display>) {
        self.0.meter.reached(limit);
        if let Some(count) = self.0.lines[limit as usize].count() {
            let client = client.map(display);
            tracing::warn!(limit = limit.word(), client, count, "a limit was reached");
        }
    }
}

/// Limits that nobody counts, for tests.
impl Default for Limited {
    fn default() -> Self {
        Self::new(&Metrics::new())
    }
}
