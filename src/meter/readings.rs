//! Gauges that nobody sets: their values are read whenever the metrics are rendered.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::row::{Measure, Row};

/// A metric with the function that reads its value; `None` if there is none.
pub(super) type Reading<S> = (Row, fn(&S) -> Option<u64>);

/// Metrics that are read from one source.
#[derive(Debug)]
pub(super) struct Readings<S: 'static> {
    pub(super) source: S,
    pub(super) all: &'static [Reading<S>],
}

impl<S: fmt::Debug + Send + Sync + 'static> Collector for Readings<S> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (row, read) in self.all {
            let Some(value) = read(&self.source) else { continue };
            let (gauge, unit) = (ConstGauge::new(value), row.unit());
            // The registry adds a full stop to the others.
            let help = format!("{}.", row.help);
            gauge.encode(encoder.encode_descriptor(
                row.base(),
                &help,
                unit.as_ref(),
                gauge.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

pub(super) const fn row(
    name: &'static str,
    measure: Measure,
    help: &'static str,
    rises: &'static str,
) -> Row {
    Row::new(name, measure, MetricType::Gauge, &[], help, rises)
}
