//! What the directory of a cluster is asked.

use std::array::from_fn;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::sizes::Waits;
use super::table::Directories;
use super::words::{DirectoryOp, DirectoryOutcome};

/// Counts what this node asks the directory.
#[derive(Clone, Debug)]
pub struct DirectoryMeter(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    up: Gauge,
    operations: [[Counter; DirectoryOutcome::ALL.len()]; DirectoryOp::ALL.len()],
    waits: Waits,
}

impl DirectoryMeter {
    pub(super) fn new(families: &Directories) -> Self {
        let op = |op: usize| ("op", Cow::Borrowed(DirectoryOp::ALL[op].word()));
        let outcome = |outcome: usize| ("outcome", Cow::Borrowed(DirectoryOutcome::ALL[outcome].word()));
        Self(Arc::new(Counters {
            up: families.up.series(Vec::new()),
            operations: from_fn(|i| from_fn(|j| families.operations.series(vec![op(i), outcome(j)]))),
            waits: families.waits.series(Vec::new()),
        }))
    }

    /// Notes whether the directory answers.
    pub fn is_up(&self, is_up: bool) {
        self.0.up.set(i64::from(is_up));
    }

    /// Counts a question that has ended.
    pub fn asked(&self, op: DirectoryOp, outcome: DirectoryOutcome) {
        self.0.operations[op as usize][outcome as usize].inc();
    }

    /// Records how long an answer took.
    pub fn answered_after(&self, wait: Duration) {
        self.0.waits.observe(wait);
    }
}

/// A meter that nobody reads.
impl Default for DirectoryMeter {
    fn default() -> Self {
        super::Metrics::new().directory()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn what_the_directory_is_asked_is_counted_if_there_is_one() {
        let metrics = Metrics::new();
        assert!(!metrics.render().contains("\npolliwog_directory_up"), "there is none");
        let meter = metrics.directory();
        meter.is_up(true);
        meter.asked(DirectoryOp::Find, DirectoryOutcome::Unsure);
        meter.answered_after(Duration::from_micros(200));
        let text = metrics.render();
        for line in [
            "polliwog_directory_up 1",
            r#"polliwog_directory_operations_total{op="find",outcome="unsure"} 1"#,
            r#"polliwog_directory_operations_total{op="claim",outcome="failed"} 0"#,
            "polliwog_directory_seconds_count 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
        }
    }
}
