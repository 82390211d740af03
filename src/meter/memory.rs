//! What all buffers take of their budget, read whenever the metrics are rendered.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::row::{Measure, Row};
use crate::budget::Budget;

/// Reads a budget.
#[derive(Debug)]
pub(super) struct Memory(pub(super) Budget);

impl Collector for Memory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (row, read) in READINGS {
            let Some(value) = read(&self.0) else { continue };
            let (gauge, unit) = (ConstGauge::new(value as u64), row.unit());
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

/// Reads one value; `None` if there is no limit.
type Reading = fn(&Budget) -> Option<usize>;

/// Each metric with the function that reads it.
pub(super) static READINGS: &[(Row, Reading)] = &[
    (
        row(
            "polliwog_buffers",
            Measure::Bytes,
            "Bytes in the buffers of all sessions and forwarded bodies",
            "Clients or backends read slowly. From 75 % of `polliwog_buffers_limit_bytes` on, sessions that hold more than their share \
             are held back; from 90 % on, handshakes get 503; at 100 %, sessions end with the reason `memory`.",
        ),
        |budget| Some(budget.used()),
    ),
    (
        row(
            "polliwog_buffers_limit",
            Measure::Bytes,
            "Most bytes in these buffers: `memory_max`, if there is a limit",
            "",
        ),
        Budget::max,
    ),
    (
        row(
            "polliwog_sessions_held_back",
            Measure::Count,
            "Sessions whose backend is not read, because they hold more than an equal share of the buffers' limit",
            "Their clients read slowly. Raise `memory_max`, or lower `outbox_max` so that each may hold less.",
        ),
        |budget| Some(budget.held_back()),
    ),
];

const fn row(name: &'static str, measure: Measure, help: &'static str, rises: &'static str) -> Row {
    Row::new(name, measure, MetricType::Gauge, &[], help, rises)
}
