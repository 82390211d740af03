//! A metric's series, which differ in their labels and are rendered in the order of the labels.
//!
//! The library's own family is a hash map: each process would list the same series in a different order, and two
//! outputs could not be compared.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Names and values, in the order in which they are shown.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Family<M> {
    /// The names of the labels, as the metric's row has them.
    names: &'static [&'static str],
    series: Arc<Mutex<BTreeMap<Labels, M>>>,
}

impl<M: Clone + Default> Family<M> {
    /// Creates a family without series.
    pub(super) fn new(names: &'static [&'static str]) -> Self {
        Self { names, series: Arc::default() }
    }

    /// Returns the series with these labels, new or not. Slow: called once for each series, never to count.
    pub(super) fn series(&self, labels: Labels) -> M {
        debug_assert!(
            labels.iter().map(|(name, _)| name).eq(self.names),
            "{labels:?} are not {:?}",
            self.names
        );
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(labels).or_default().clone()
    }

    /// Replaces all series.
    pub(super) fn replace(&self, series: impl Iterator<Item = (Labels, M)>) {
        *self.series.lock().unwrap_or_else(PoisonError::into_inner) = series.collect();
    }
}

impl<M> Family<M> {
    /// Takes out the series whose labels begin with these.
    pub(super) fn forget(&self, labels: &Labels) {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        // They stand together, and the others are not looked at: thousands of routes may go at once.
        let gone = all.range(labels.clone()..).map(|(series, _)| series);
        let gone: Vec<Labels> = gone.take_while(|series| series.starts_with(labels)).cloned().collect();
        for series in gone {
            all.remove(&series);
        }
    }
}

impl<M> Clone for Family<M> {
    fn clone(&self) -> Self {
        Self { names: self.names, series: Arc::clone(&self.series) }
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Family<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if self.names.is_empty() {
            return all.values().next().map_or(Ok(()), |only| only.encode(encoder));
        }
        all.iter().try_for_each(|(labels, metric)| metric.encode(encoder.encode_family(labels)?))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}
