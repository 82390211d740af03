//! What a process is given at its start.

use super::log::Logs;
use super::reload::watch::Watch;
use crate::config::{Config, Origin};

/// What a process is given.
pub(super) struct Given {
    pub(super) config: Config,
    pub(super) origin: Origin,
    pub(super) logs: Logs,
    pub(super) watch: Watch,
}
