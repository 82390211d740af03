//! An upstream's lifetime: as long as anything uses it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::gate::Gate;
use super::pace::Pace;
use crate::background::Background;
use crate::budget::Budget;
use crate::fingerprint::Fingerprint;
use crate::meter::Dials;
use crate::upstream::{BuildError, Limits, Settings, Upstream, build};

/// An upstream, and the end of its background tasks once its last owner drops it: the configuration that names it, its
/// sessions, and its pending requests.
pub struct InUse {
    name: String,
    settings: Settings,
    /// What was in the files of the settings, among them a private key.
    files: Vec<Option<Fingerprint>>,
    upstream: Arc<dyn Upstream>,
    pace: Pace,
    gate: Gate,
    _retire: DropGuard,
}

impl InUse {
    /// Starts an upstream, whose tasks run in `background` until it retires or `background` stops.
    ///
    /// # Errors
    /// The settings name a target that cannot be dialled, or a kind that this binary was built without.
    pub fn start(
        name: &str,
        settings: &Settings,
        background: &Background,
        dials: Dials,
        budget: &Budget,
    ) -> Result<Arc<Self>, BuildError> {
        let stop = background.stop.child_token();
        let files = read(settings);
        let upstream =
            build(settings, Background { stop: stop.clone(), ..background.clone() }, dials, budget)?;
        let (name, settings) = (name.to_owned(), settings.clone());
        let (pace, gate) = (Pace::default(), Gate::new(settings.limits.requests()));
        let retire = stop.drop_guard();
        Ok(Arc::new(Self { name, settings, files, upstream, pace, gate, _retire: retire }))
    }

    /// Returns whether these settings, with what their files hold now, make the same upstream, except for its limits.
    pub fn is_made_of(&self, settings: &Settings) -> bool {
        let same = Settings { limits: self.settings.limits, ..settings.clone() };
        self.settings == same && self.files == read(settings)
    }

    /// Sets its limits from now on.
    pub fn limit(&self, limits: Limits) {
        self.gate.limit(limits.requests());
        self.upstream.limit(limits);
    }

    /// Returns what forwarded requests pass.
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notes how long a successful handshake took.
    pub fn note_handshake(&self, took: Duration) {
        self.pace.note(took, Instant::now().into_std());
    }

    /// Returns how long recent handshakes took: longer than nine in ten of them; zero without recent ones.
    pub fn handshakes_take(&self) -> Duration {
        self.pace.slow(Instant::now().into_std())
    }

    /// Returns the settings that it was made from; its limits may be others by now.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Returns what is in the files of the settings; `None` for one that cannot be read.
fn read(settings: &Settings) -> Vec<Option<Fingerprint>> {
    settings.files().map(Fingerprint::of_file).collect()
}

impl Deref for InUse {
    type Target = dyn Upstream;

    fn deref(&self) -> &Self::Target {
        &*self.upstream
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InUse").field(&self.name).finish()
    }
}
