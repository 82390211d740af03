//! The part of the configuration for the directory.

use std::path::PathBuf;
use std::time::Duration;

use crate::tls::{Identity, TlsError};

/// The engine, and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Of which kind it is.
    pub kind: Kind,
    /// Where it is. It may hold a password.
    pub url: String,
    /// What the names of all entries begin with.
    pub name: String,
    /// How long an entry stays that is not written again.
    pub ttl: Duration,
    /// The authorities whose certificates are accepted; unset: the system's.
    pub ca: Option<PathBuf>,
    /// What this node shows to an engine that asks for a certificate.
    pub identity: Option<Identity>,
}

/// A kind of engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// NATS.
    Nats,
    /// Redis or Valkey.
    Redis,
}

impl Kind {
    /// Returns the kind that a URL names, and whether its connections are encrypted.
    pub fn of(url: &str) -> Option<(Self, bool)> {
        match url.split_once("://")?.0 {
            "nats" => Some((Self::Nats, false)),
            "tls" => Some((Self::Nats, true)),
            "redis" => Some((Self::Redis, false)),
            "rediss" => Some((Self::Redis, true)),
            _ => None,
        }
    }

    /// Returns the feature that a binary must be built with.
    pub const fn feature(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Redis => "redis",
        }
    }

    /// Returns whether this binary was built with it.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Nats => cfg!(feature = "nats"),
            Self::Redis => cfg!(feature = "redis"),
        }
    }
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
    /// The authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The engine refuses the settings.
    #[error("{0}")]
    Settings(String),
}
