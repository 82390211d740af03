//! One row of the table of metrics.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// One metric, as an operator sees it.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name without the unit and the `_total` that the text format adds.
    name: &'static str,
    measure: Measure,
    kind: MetricType,
    /// The names of its labels, in the order in which they are shown.
    pub(crate) labels: &'static [&'static str],
    /// The help text, without a full stop.
    pub(crate) help: &'static str,
    /// What an operator does when the metric rises; empty if nothing needs to be done.
    pub(crate) rises: &'static str,
}

/// What a metric is measured in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Measure {
    Count,
    Bytes,
    Seconds,
}

impl Measure {
    pub(super) fn unit(self) -> Option<Unit> {
        match self {
            Self::Count => None,
            Self::Bytes => Some(Unit::Bytes),
            Self::Seconds => Some(Unit::Seconds),
        }
    }
}

impl Row {
    pub(super) const fn new(
        name: &'static str,
        measure: Measure,
        kind: MetricType,
        labels: &'static [&'static str],
        help: &'static str,
        rises: &'static str,
    ) -> Self {
        Self { name, measure, kind, labels, help, rises }
    }

    /// Returns the name as it is registered.
    pub(super) const fn base(&self) -> &'static str {
        self.name
    }

    pub(super) fn unit(&self) -> Option<Unit> {
        self.measure.unit()
    }

    /// Returns the name with the unit, as in the `# TYPE` line of the text format.
    pub(crate) fn family(&self) -> String {
        let unit = self.unit().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        format!("{}{unit}", self.name)
    }

    /// Returns the name by which a query finds it; a histogram's is followed by `_bucket`, `_sum` or `_count`.
    pub(crate) fn queried(&self) -> String {
        match self.kind {
            MetricType::Counter => format!("{}_total", self.family()),
            MetricType::Info => format!("{}_info", self.family()),
            MetricType::Gauge | MetricType::Histogram | MetricType::Unknown => self.family(),
        }
    }

    /// Returns the name of its kind.
    pub(crate) fn kind(&'static self) -> &'static str {
        self.kind.as_str()
    }
}
