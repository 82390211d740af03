//! When certificates expire, and how operators learn of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::leaf::{self, Validity};
use super::{Identity, read_chain};

/// The end of a certificate that we show others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// Its file.
    pub file: PathBuf,
    /// The first host that it names; empty if it names none.
    pub name: String,
    /// When it expires.
    pub at: SystemTime,
    /// How long before operators should act.
    near: Duration,
}

impl Expiry {
    /// Reads that of a certificate; `None` if it cannot be read.
    pub fn of(identity: &Identity) -> Option<Self> {
        let chain = read_chain(&identity.certificate).ok()?;
        let leaf = chain.first()?;
        let name = leaf::names(leaf).ok()?.into_iter().next().unwrap_or_default();
        Some(Self::new(&identity.certificate, name, leaf::validity(leaf)?))
    }

    /// Creates that of a certificate in a file, which names a host first.
    pub fn new(file: &Path, name: String, Validity { begin, end }: Validity) -> Self {
        let life = end.duration_since(begin).unwrap_or_default();
        Self { file: file.to_owned(), name, at: end, near: NEAR.min(life / 4) }
    }

    /// Returns whether operators should act by now.
    pub fn is_near(&self, now: SystemTime) -> bool {
        self.at.duration_since(now).map_or(true, |left| left < self.near)
    }

    /// Returns the date, and how far it is.
    pub fn told(&self, now: SystemTime) -> String {
        let date = httpdate::fmt_http_date(self.at);
        let days = |span: Duration| match span.as_secs() / DAY.as_secs() {
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        match self.at.duration_since(now) {
            Ok(left) => format!("expires on {date}, in {}", days(left)),
            Err(past) => format!("expired on {date}, {} ago", days(past.duration())),
        }
    }
}

/// How long before its end operators are warned, unless a quarter of its life is shorter. A certificate of 90 days is
/// renewed 30 days before by most tools.
const NEAR: Duration = Duration::from_secs(21 * DAY.as_secs());
const DAY: Duration = Duration::from_hours(24);
