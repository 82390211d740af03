//! The folder of what an ACME server has issued: for each domain a certificate with its key, and the account that ordered
//! it. Each file is written whole, and only this user reads it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use instant_acme::AccountCredentials;
use rustix::fs::{Access, access};

use super::schedule::Attempts;
use crate::tls::{AcmeAccount, Issued, TlsError};

/// The folder of one ACME server.
#[derive(Clone, Debug)]
pub struct Storage {
    pub(super) account: Arc<AcmeAccount>,
    folder: PathBuf,
}

/// A file that can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", path.display())]
pub struct StorageError {
    path: PathBuf,
    source: io::Error,
}

impl StorageError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self { path: path.to_owned(), source }
    }
}

impl Storage {
    pub(super) fn new(account: &Arc<AcmeAccount>) -> Self {
        Self { account: Arc::clone(account), folder: account.folder() }
    }

    /// Checks the folder of an account, which may not exist yet.
    ///
    /// # Errors
    /// This user may not write there, or could not make it.
    pub fn check(account: &AcmeAccount) -> Result<(), StorageError> {
        let folder = account.folder();
        let there = folder.ancestors().find(|path| !path.as_os_str().is_empty() && path.exists());
        let there = there.unwrap_or(Path::new("."));
        let at = StorageError::at(there);
        let is_folder = there.is_dir().then_some(()).ok_or_else(|| io::ErrorKind::NotADirectory.into());
        let access = || access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from);
        is_folder.and_then(|()| access()).map_err(at)
    }

    /// Makes the folder if it is not there, and takes its lock, which ends with the file. `None` if another order has it, of
    /// this process or another one.
    pub(super) fn lock(&self) -> Result<Option<File>, StorageError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(StorageError::at(&self.folder))?;
        let path = self.folder.join("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.map_err(StorageError::at(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StorageError::at(&path)(error)),
        }
    }

    /// Returns the certificate for a domain, if there is one.
    pub(super) fn certificate(&self, domain: &str) -> Result<Option<Issued>, TlsError> {
        Issued::read(&self.account.certificate(domain), domain)
    }

    /// Keeps a certificate for a domain, in PEM: its chain and its key. One that cannot be used replaces none.
    pub(super) fn keep_certificate(
        &self,
        domain: &str,
        pem: &str,
    ) -> Result<Result<Issued, TlsError>, StorageError> {
        let path = self.account.certificate(domain);
        let new = written(&path, pem.as_bytes())?;
        let issued = Issued::read(&new, domain)
            .and_then(|issued| issued.ok_or_else(|| TlsError::NoCertificate { path: path.clone() }));
        match issued {
            Ok(issued) => {
                fs::rename(&new, &path).map_err(StorageError::at(&path))?;
                Ok(Ok(issued))
            }
            Err(error) => {
                let _left = fs::remove_file(&new);
                Ok(Err(error))
            }
        }
    }

    /// Keeps the certificate that answers the ACME server for a domain, in PEM, until the returned value is dropped.
    pub(super) fn keep_challenge(&self, domain: &str, pem: &str) -> Result<Challenge, StorageError> {
        let path = self.account.challenge(domain);
        write(&path, pem.as_bytes())?;
        Ok(Challenge(path))
    }

    /// Returns the attempts to order for a domain, if there are any.
    pub(super) fn attempts(&self, domain: &str) -> Option<Attempts> {
        Attempts::of_text(&fs::read_to_string(self.attempts_file(domain)).ok()?)
    }

    /// Keeps the attempts to order for a domain; none if there were none.
    pub(super) fn keep_attempts(&self, domain: &str, attempts: Attempts) -> Result<(), StorageError> {
        let path = self.attempts_file(domain);
        if attempts == Attempts::default() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StorageError::at(&path)(error)),
                Ok(()) | Err(_) => Ok(()),
            };
        }
        write(&path, attempts.to_text().as_bytes())
    }

    /// Returns what proves who we are to the server, if there is such a file and it can be used.
    pub(super) fn credentials(&self) -> Option<AccountCredentials> {
        let path = self.credentials_file();
        let bytes = fs::read(&path).ok()?;
        let read = serde_json::from_slice(&bytes);
        if let Err(error) = &read {
            tracing::warn!(file = %path.display(), %error, "an ACME account cannot be used, another one is made");
        }
        read.ok()
    }

    /// Keeps what proves who we are to the server.
    pub(super) fn keep_credentials(&self, credentials: &AccountCredentials) -> Result<(), StorageError> {
        let path = self.credentials_file();
        let bytes = serde_json::to_vec(credentials).map_err(|error| StorageError::at(&path)(error.into()))?;
        write(&path, &bytes)
    }

    fn credentials_file(&self) -> PathBuf {
        let name =
            self.account.email.as_ref().map_or("account".to_owned(), |email| format!("account-{email}"));
        self.folder.join(format!("{name}.json"))
    }

    fn attempts_file(&self, domain: &str) -> PathBuf {
        self.folder.join(format!("{domain}.failed"))
    }
}

/// The file that answers the ACME server, as long as an order is open.
#[derive(Debug)]
pub(super) struct Challenge(PathBuf);

impl Drop for Challenge {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

/// Writes a file whole.
fn write(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let new = written(path, bytes)?;
    fs::rename(new, path).map_err(StorageError::at(path))
}

/// Writes what is to replace a file to another one beside it.
fn written(path: &Path, bytes: &[u8]) -> Result<PathBuf, StorageError> {
    let new = path.with_added_extension(format!("{}.new", std::process::id()));
    let write = || {
        // One that is left over might be readable by others.
        let _none = fs::remove_file(&new);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| {
        // A disk that is full keeps no half of it.
        let _none = fs::remove_file(&new);
        StorageError::at(&new)(error)
    })?;
    Ok(new)
}
