//! Where a configuration is read from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use super::fault::Faults;
use super::{Config, files};

/// Where a configuration came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The shipped file, as it was when this binary was built.
    BuiltIn,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::BuiltIn => f.write_str("built-in config.toml"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What it says cannot be used.
    #[error(transparent)]
    Faulty(#[from] Faults),
}

impl Config {
    /// Loads the file at `path`, which must exist; without one the working directory's `config.toml`, and where there
    /// is none, the shipped file that is built in. `env` overrides it. The files that it names are looked at as well.
    ///
    /// # Errors
    /// Every fault at once, or the file that could not be read.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Source), LoadError> {
        let named = path.unwrap_or(Path::new(FILE_NAME));
        let (text, source) = match fs::read_to_string(named) {
            Ok(text) => (text, Source::File(named.to_owned())),
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
                (SHIPPED.to_owned(), Source::BuiltIn)
            }
            Err(source) => return Err(LoadError::Unreadable { path: named.to_owned(), source }),
        };
        Ok((Self::parse_and(&text, &source.to_string(), env, files::check)?, source))
    }
}

/// The file that the working directory is searched for.
const FILE_NAME: &str = "config.toml";

/// The shipped file.
pub(super) const SHIPPED: &str = include_str!("../../config.toml");
