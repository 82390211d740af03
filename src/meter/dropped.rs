//! What nobody waited for: lines and spans that were dropped.

use std::borrow::Cow;

use super::{LogName, Metrics};

impl Metrics {
    /// Returns what counts the dropped lines of a log.
    pub fn log_lines_dropped(&self, log: LogName) -> impl Fn(u64) + Send + Sync + use<> {
        let of = |log: LogName| vec![("log", Cow::Borrowed(log.word()))];
        // A log that drops nothing shows so.
        for one in LogName::ALL {
            self.0.whole.log_lines_dropped.series(of(*one));
        }
        let dropped = self.0.whole.log_lines_dropped.series(of(log));
        move |count| {
            dropped.inc_by(count);
        }
    }

    /// Returns what counts spans that were dropped.
    pub fn spans_dropped(&self) -> impl Fn(u64) + Send + Sync + use<> {
        let dropped = self.0.whole.spans_dropped.series(Vec::new());
        move |count| {
            dropped.inc_by(count);
        }
    }
}
