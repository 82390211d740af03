//! Where a configuration comes from.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// Where a configuration came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The shipped file, as it was when this binary was built.
    BuiltIn,
}

/// What a configuration is made of, so that it can be read again.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file.
    pub source: Source,
    /// What is laid over it, as it was when the process started.
    pub env: Vec<(OsString, OsString)>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::BuiltIn => f.write_str("built-in config.toml"),
        }
    }
}
