//! Where a configuration is read from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::fault::{Faults, Sink};
use super::origin::{Origin, Source};
use super::tree::Node;
use super::{Config, Differing, Places, files, fixed};
use crate::fingerprint::read_again;
use crate::service::AdminSettings;

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
        Self::load_with(path, env, files::check)
    }

    /// Loads it to say whether it can be used, not to use it: a Unix socket without a folder is a fault as well.
    ///
    /// # Errors
    /// As those of [`load`](Self::load).
    pub fn load_to_check(
        path: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Source), LoadError> {
        Self::load_with(path, env, |config, tree, sink| {
            files::check(config, tree, sink);
            files::check_folders(config, tree, sink);
        })
    }

    fn load_with(
        path: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
        check: impl FnOnce(&Self, &Node, &Sink),
    ) -> Result<(Self, Source), LoadError> {
        let (text, source) = text_of(path)?;
        let (config, _tree) = Self::parse_and(&text, &source.to_string(), env, check)?;
        Ok((config, source))
    }

    /// Loads where operators come in. Faults are none here: the process that is asked may have begun before they were made.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load_admin(
        path: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<AdminSettings, LoadError> {
        let (text, source) = text_of(path)?;
        let mut admin = AdminSettings::default();
        let _faults = Self::parse_and(&text, &source.to_string(), env, |config, _, _| {
            admin = config.admin.clone();
        });
        Ok(admin)
    }

    /// Loads what follows this configuration in a process that runs, and where its values stand.
    ///
    /// # Errors
    /// Every fault at once, with the keys that only a restart changes; or the file could not be read.
    pub fn reload(&self, Origin { source, env }: &Origin) -> Result<(Self, Places), LoadError> {
        let text = text_again(source)?;
        let name = source.to_string();
        let (next, tree) = Self::parse_and(&text, &name, env.iter().cloned(), |config, tree, sink| {
            files::check(config, tree, sink);
            fixed::check(self, config, tree, sink);
        })?;
        Ok((next, Places::new(tree, name)))
    }

    /// Returns a fault for each value of a configuration that only a restart changes, as a process that runs says.
    ///
    /// # Errors
    /// The file cannot be read again.
    pub fn fixed_faults(Origin { source, env }: &Origin, differing: &Differing) -> Result<Faults, LoadError> {
        let text = text_again(source)?;
        let faults =
            Self::parse_and(&text, &source.to_string(), env.iter().cloned(), |config, tree, sink| {
                differing.report(config, tree, sink);
            });
        Ok(faults.err().unwrap_or_default())
    }
}

/// Returns the text of the file at `path`, or of the one that is there without it.
fn text_of(path: Option<&Path>) -> Result<(String, Source), LoadError> {
    let named = path.unwrap_or(Path::new(FILE_NAME));
    match fs::read_to_string(named) {
        Ok(text) => Ok((text, Source::File(named.to_owned()))),
        Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
            Ok((SHIPPED.to_owned(), Source::BuiltIn))
        }
        Err(source) => Err(LoadError::Unreadable { path: named.to_owned(), source }),
    }
}

/// Returns the text of a source that was read before.
fn text_again(source: &Source) -> Result<String, LoadError> {
    let Source::File(path) = source else { return Ok(SHIPPED.to_owned()) };
    let text = read_again(path).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    text.map_err(|source| LoadError::Unreadable { path: path.clone(), source })
}

/// The file that the working directory is searched for.
const FILE_NAME: &str = "config.toml";

/// The shipped file.
pub(super) const SHIPPED: &str = include_str!("../../config.toml");
