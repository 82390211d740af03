//! The files of a configuration, looked at for a change.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::{Config, Origin};
use crate::fingerprint::Fingerprint;

/// What the files held when the configuration was read, and when they were looked at.
///
/// Their bytes are compared: a symbolic link may lead elsewhere, and a mount may be replaced as a whole. A change counts
/// once two looks find the same, so that files which belong together are all written.
#[derive(Debug)]
pub(crate) struct Watch {
    read: Held,
    seen: Held,
}

/// What a look has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// What was read, or nothing that could be read.
    Same,
    /// Something that the look before has not found: it may be half written.
    New,
    /// A change that the look before has found as well.
    Changed,
}

/// What is in each file, among them passwords and private keys; `None` if it cannot be read.
pub(crate) type Held = BTreeMap<PathBuf, Option<Fingerprint>>;

impl Watch {
    /// Begins with what the files hold now, unless that is in `earlier`: what they held before the configuration was read.
    pub(crate) fn new(config: &Config, origin: &Origin, mut earlier: Held) -> Self {
        let held = |path: PathBuf| {
            let held = earlier.remove(&path).unwrap_or_else(|| Fingerprint::of_file(&path));
            (path, held)
        };
        let read: Held = config.files(&origin.source).into_iter().map(held).collect();
        Self { seen: read.clone(), read }
    }

    /// Returns what the files hold now.
    pub(super) fn now(&self) -> Held {
        held(self.read.keys().cloned())
    }

    /// Looks at the files.
    pub(super) async fn look(&mut self) -> Seen {
        let files: Vec<_> = self.read.keys().cloned().collect();
        // A mount may be slow.
        let Ok(now) = tokio::task::spawn_blocking(move || held(files)).await else { return Seen::Same };
        self.note(now)
    }

    fn note(&mut self, now: Held) -> Seen {
        let seen = match (now == self.seen, now == self.read) {
            (false, _) => Seen::New,
            (true, false) => Seen::Changed,
            (true, true) => Seen::Same,
        };
        self.seen = now;
        seen
    }
}

fn held(files: impl IntoIterator<Item = PathBuf>) -> Held {
    let held = |path: PathBuf| {
        let held = Fingerprint::of_file(&path);
        (path, held)
    };
    files.into_iter().map(held).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_stays() {
        let held = |text: Option<&str>| {
            Held::from([("file".into(), text.map(|text| Fingerprint::of(text.as_bytes())))])
        };
        let mut watch = Watch { read: held(Some("a")), seen: held(Some("a")) };
        let mut note = |text| watch.note(held(text));
        assert_eq!(note(Some("a")), Seen::Same);
        assert_eq!(note(Some("b")), Seen::New, "it may be half written");
        assert_eq!(note(Some("bc")), Seen::New);
        assert_eq!(note(Some("bc")), Seen::Changed);
        // Back again, before it was read.
        assert_eq!(note(Some("a")), Seen::New);
        assert_eq!(note(Some("a")), Seen::Same);
        // The file is gone, and stays so.
        assert_eq!(note(None), Seen::New);
        assert_eq!(note(None), Seen::Changed);
    }
}
