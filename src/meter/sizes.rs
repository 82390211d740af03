//! A histogram of whole numbers that is counted without a lock.
//!
//! The library's own histogram locks a mutex for each observation, and all polls of a route would contend for it.

use std::fmt;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Sizes, in whole units.
pub(super) type Sizes = Steps<1, 1>;
/// Durations: counted in microseconds and shown in seconds. The smallest bound is 16 µs, the largest a minute.
pub(super) type Waits = Steps<16, 1_000_000>;

/// Counts how often a number fell between two powers of [`STEP`] times `SMALLEST`. It is shown in units of `UNIT`.
#[derive(Clone, Default, Debug)]
pub(super) struct Steps<const SMALLEST: u64, const UNIT: u64>(Arc<Counts>);

#[derive(Default, Debug)]
struct Counts {
    /// One count for each bound, and one for larger numbers.
    buckets: [AtomicU64; BOUNDS + 1],
    sum: AtomicU64,
}

impl Sizes {
    /// Counts one size.
    pub(super) fn observe(&self, size: usize) {
        self.count(size as u64);
    }
}

impl Waits {
    /// Counts one duration.
    pub(super) fn observe(&self, wait: Duration) {
        self.count(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
    }
}

impl<const SMALLEST: u64, const UNIT: u64> Steps<SMALLEST, UNIT> {
    /// Returns how many fell under each bound and over the one before; the last had none.
    pub(super) fn counts(&self) -> [u64; BOUNDS + 1] {
        self.0.buckets.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    fn count(&self, number: u64) {
        self.0.buckets[bucket_of(number.div_ceil(SMALLEST))].fetch_add(1, Ordering::Relaxed);
        self.0.sum.fetch_add(number, Ordering::Relaxed);
    }
}

impl<const SMALLEST: u64, const UNIT: u64> EncodeMetric for Steps<SMALLEST, UNIT> {
    #[expect(clippy::cast_precision_loss, reason = "the text format has floating-point numbers only")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.counts();
        let shown = |number: u64| number as f64 / UNIT as f64;
        let bounds = successors(Some(SMALLEST), |bound| Some(bound * STEP)).map(shown);
        let bounds = bounds.take(BOUNDS).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let sum = shown(self.0.sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl<const SMALLEST: u64, const UNIT: u64> TypedMetric for Steps<SMALLEST, UNIT> {
    const TYPE: MetricType = MetricType::Histogram;
}

/// Returns the index of the smallest power of [`STEP`] that is at least `size`.
fn bucket_of(size: u64) -> usize {
    let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
    (bits.div_ceil(STEP.ilog2()) as usize).min(BOUNDS)
}

/// Coarse, but fine enough to distinguish a batch of one from a batch of ten, and an event from an image.
const STEP: u64 = 4;
/// The largest bound is 4^11, 4 MiB: more than the largest batch in a default configuration.
const BOUNDS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_falls_under_the_smallest_bound_that_holds_it() {
        for (size, bound) in [(0, 1), (1, 1), (2, 4), (4, 4), (5, 16), (16, 16), (17, 64), (1 << 22, 1 << 22)]
        {
            assert_eq!(STEP.pow(u32::try_from(bucket_of(size)).unwrap()), bound, "{size}");
        }
        assert_eq!(bucket_of((1 << 22) + 1), BOUNDS);
        assert_eq!(bucket_of(u64::MAX), BOUNDS);
    }
}
