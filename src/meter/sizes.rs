//! A histogram of whole numbers that is counted without a lock.
//!
//! The library's own histogram takes a mutex for each observation, which all polls of a route would share.

use std::fmt;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Counts how often a size fell between two powers of [`STEP`].
#[derive(Clone, Default, Debug)]
pub(super) struct Sizes(Arc<Counts>);

#[derive(Default, Debug)]
struct Counts {
    /// By the smallest bound that the size does not exceed; the last has no bound.
    buckets: [AtomicU64; BOUNDS + 1],
    sum: AtomicU64,
}

impl Sizes {
    /// Counts one size.
    pub(super) fn observe(&self, size: usize) {
        self.0.buckets[bucket_of(size)].fetch_add(1, Ordering::Relaxed);
        self.0.sum.fetch_add(size as u64, Ordering::Relaxed);
    }
}

impl EncodeMetric for Sizes {
    #[expect(clippy::cast_precision_loss, reason = "the text format has floating-point numbers only")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = self.0.buckets.each_ref().map(|count| count.load(Ordering::Relaxed));
        let bounds = successors(Some(1), |bound| Some(bound * STEP)).map(|bound| bound as f64);
        let bounds = bounds.take(BOUNDS).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let sum = self.0.sum.load(Ordering::Relaxed) as f64;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Sizes {
    const TYPE: MetricType = MetricType::Histogram;
}

/// The index of the smallest power of [`STEP`] that is at least `size`.
fn bucket_of(size: usize) -> usize {
    let bits = usize::BITS - size.saturating_sub(1).leading_zeros();
    (bits.div_ceil(STEP.ilog2()) as usize).min(BOUNDS)
}

/// Coarse, yet fine enough to tell a batch of one from one of ten, and an event from a picture.
const STEP: u64 = 4;
/// The largest bound is 4^11, 4 MiB: past the largest batch that a default configuration cuts.
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
        assert_eq!(bucket_of(usize::MAX), BOUNDS);
    }
}
