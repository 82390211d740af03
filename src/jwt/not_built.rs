//! In place of the keys, where the binary is built without them.

use std::convert::Infallible;
use std::time::Duration;

use super::{Invalid, NoKeys, Rules};

/// No keys.
#[derive(Debug)]
pub struct Keys(Infallible);

impl Keys {
    /// Reads no keys.
    ///
    /// # Errors
    /// Always.
    pub const fn read(_json: &[u8]) -> Result<Self, NoKeys> {
        Err(NoKeys::NotBuilt)
    }

    /// Judges nothing.
    ///
    /// # Errors
    /// Never.
    pub const fn judge(&self, _token: &str, _rules: &Rules, _now: Duration) -> Result<Duration, Invalid> {
        match self.0 {}
    }
}
