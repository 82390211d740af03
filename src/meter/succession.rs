//! The other processes of this host.

use prometheus_client::metrics::gauge::Gauge;

use super::table::Successions;

/// Counts them, and their sessions.
#[derive(Clone, Debug)]
pub struct SuccessionMeter {
    processes: Gauge,
    sessions: Gauge,
}

impl SuccessionMeter {
    pub(super) fn new(families: &Successions) -> Self {
        Self {
            processes: families.processes.series(Vec::new()),
            sessions: families.sessions.series(Vec::new()),
        }
    }

    /// Notes how many there are, and how many sessions they hold together.
    pub fn set(&self, processes: usize, sessions: u64) {
        self.processes.set(i64::try_from(processes).unwrap_or(i64::MAX));
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }
}
