//! The part of the configuration for a process's successor (`[succession]`).

use std::path::PathBuf;
use std::time::Duration;

/// How a process is succeeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The folder where predecessor and successor find each other.
    pub directory: PathBuf,
    /// How long a predecessor keeps its sessions until it begins to drain them.
    pub linger: Duration,
}
