//! Latency over the time of a run: percentiles of each short span of it. Pure: time is passed in.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The latencies of each span. Only the present span has a histogram.
#[derive(Clone, Debug)]
pub(in crate::load) struct OverTime {
    span: Duration,
    past: Vec<Option<Percentiles>>,
    present: Histogram<u64>,
}

/// Of the answers in one span, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::load) struct Percentiles {
    pub(in crate::load) p50: u64,
    pub(in crate::load) p99: u64,
}

impl OverTime {
    /// Creates one for a run that is to take this long.
    pub(super) fn new(planned: Duration) -> Self {
        let present = Histogram::new_with_bounds(1, 3_600_000_000, 2)
            .expect("these bounds are the library's own example's");
        Self { span: (planned / SPANS).max(SPAN_MIN), past: Vec::new(), present }
    }

    /// Notes an answer at this time since the beginning, which took so many microseconds.
    pub(super) fn record(&mut self, at: Duration, took: u64) {
        let now = usize::try_from(at.as_nanos() / self.span.as_nanos()).unwrap_or(SPANS_MAX).min(SPANS_MAX);
        while self.past.len() < now {
            let over = percentiles(&self.present);
            self.present.reset();
            self.past.push(over);
        }
        self.present.saturating_record(took);
    }

    /// Returns how long a span is.
    pub(in crate::load) const fn span(&self) -> Duration {
        self.span
    }

    /// Returns the percentiles of each span; `None` where nothing was answered.
    pub(in crate::load) fn spans(&self) -> impl Iterator<Item = Option<Percentiles>> {
        self.past.iter().copied().chain([percentiles(&self.present)])
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Option<Percentiles> {
    let at = |percentile| histogram.value_at_percentile(percentile);
    (!histogram.is_empty()).then(|| Percentiles { p50: at(50.0), p99: at(99.0) })
}

/// About as many as a chart shows.
const SPANS: u32 = 150;
const SPAN_MIN: Duration = Duration::from_millis(200);
/// A run may take longer than it was planned.
const SPANS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_has_its_own_percentiles() {
        let mut over_time = OverTime::new(Duration::from_secs(30));
        assert_eq!(over_time.span(), Duration::from_millis(200));
        for (at, took) in [(0, 10), (199, 20), (200, 1000), (650, 50)] {
            over_time.record(Duration::from_millis(at), took);
        }
        let p99: Vec<_> = over_time.spans().map(|span| span.map(|span| span.p99)).collect();
        assert_eq!(p99, [Some(20), Some(1003), None, Some(50)]);
    }

    #[test]
    fn a_run_that_does_not_end_takes_no_more_room() {
        let mut over_time = OverTime::new(Duration::ZERO);
        for _ in 0..2 {
            over_time.record(Duration::from_secs(1_000_000), 1);
        }
        assert_eq!(over_time.spans().count(), SPANS_MAX + 1);
    }
}
