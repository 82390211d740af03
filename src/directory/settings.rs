//! The part of the configuration for the directory.

#[cfg(feature = "redis")]
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The engine, and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is. It may hold a password.
    pub url: String,
    /// What the names of all entries begin with.
    pub name: String,
    /// How long an entry stays that is not written again.
    pub ttl: Duration,
    /// The authorities whose certificates are accepted; unset: the system's.
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the URL, which may hold a password.
        f.debug_struct("Settings").field("name", &self.name).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

/// The engine cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file cannot be read.
    #[cfg(feature = "redis")]
    #[error("{0} cannot be read")]
    File(PathBuf, #[source] io::Error),
    /// The engine refuses the settings.
    #[error("{0}")]
    Settings(String),
}
