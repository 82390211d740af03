//! What a process is given at its start.

use super::log::SetLevel;
use super::reload::watch::Watch;
use crate::config::{Config, Origin};

/// What a process is given.
pub(super) struct Given {
    pub(super) config: Config,
    pub(super) origin: Origin,
    pub(super) level: SetLevel,
    pub(super) watch: Watch,
}
