//! What bytes are known by, where they need not or must not be kept.

use std::path::Path;
use std::{fmt, fs, io};

use aws_lc_rs::digest::{Digest, SHA256, digest};

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// Returns that of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(digest(&SHA256, bytes))
    }

    /// Returns its beginning as a number, which tells a few things apart.
    pub fn number(&self) -> u64 {
        self.0.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    /// Returns that of what a file holds now; `None` if it cannot be read, or only once.
    pub fn of_file(path: &Path) -> Option<Self> {
        read_again(path).ok().map(|bytes| Self::of(&bytes))
    }
}

/// Reads a file that was read before.
///
/// # Errors
/// It cannot be read, or only once: a pipe would be waited for.
pub fn read_again(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file, so it is read only once"));
    }
    fs::read(path)
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl Eq for Fingerprint {}

/// As hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
