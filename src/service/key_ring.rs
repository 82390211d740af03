//! The keys by which a route's tokens are judged: read at the first need, then kept, and read again as they change.
//!
//! One reading at a time, and not soon after another, whatever clients send. If it fails, the keys that are known stay;
//! but a set without any of use takes their place: the issuer has withdrawn them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::auth::{self, NoAnswer, Question};
use super::settings::KeySettings;
use crate::chain::Chain;
use crate::jwt::{Keys, NoKeys};
use crate::throttle::Throttle;
use crate::upstream::InUse;

/// The keys of one route.
#[derive(Debug)]
pub struct KeyRing {
    source: Source,
    known: ArcSwapOption<Known>,
    /// When the last reading ended; locked while one is under way.
    read: Arc<Mutex<Option<Instant>>>,
    tracker: TaskTracker,
    line: Throttle,
}

/// Where keys are.
#[derive(Debug)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// At a server, whose URL is what is asked for.
    Server(Arc<InUse>),
}

/// Keys, and since when they are known.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) keys: Keys,
    since: Instant,
}

/// Why keys were not read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("the file cannot be read")]
    File(#[from] std::io::Error),
    #[error("the server was not reached")]
    Server(#[from] NoAnswer),
    #[error("the server answers {0}")]
    Status(StatusCode),
    #[error("the server did not answer in time")]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
}

impl KeyRing {
    /// Creates one, and begins to read the keys. What it reads is tracked by `tracker`.
    pub fn start(source: Source, tracker: TaskTracker) -> Arc<Self> {
        let known = ArcSwapOption::empty();
        let ring = Arc::new(Self { source, known, read: Arc::default(), tracker, line: Throttle::default() });
        ring.begin_reading();
        ring
    }

    /// Returns whether it reads what these settings say.
    pub fn is_of(&self, settings: &KeySettings) -> bool {
        match (&self.source, settings) {
            (Source::File(path), KeySettings::File(other)) => path == other,
            (Source::Server(server), KeySettings::Server(other)) => server.is_made_of(other),
            (Source::File(_), KeySettings::Server(_)) | (Source::Server(_), KeySettings::File(_)) => false,
        }
    }

    /// Returns the keys; waits for the first, and for others if nobody has come for long, and has old ones read again
    /// meanwhile. Returns `None` if there are none.
    pub(super) async fn known(self: &Arc<Self>) -> Option<Arc<Known>> {
        match self.known.load_full() {
            None => {
                self.read_again().await;
                self.known.load_full()
            }
            Some(known) => {
                if known.since.elapsed() <= AGE {
                    return Some(known);
                }
                match self.read.try_lock().map(|read| *read) {
                    Ok(read) if is_due(read, FORGOTTEN) => {
                        self.read_again().await;
                        return self.known.load_full();
                    }
                    Ok(read) if is_due(read, PAUSE) => self.begin_reading(),
                    Ok(_) | Err(_) => {}
                }
                Some(known)
            }
        }
    }

    /// Returns keys that are newer than these, after another reading if one is due.
    pub(super) async fn newer(self: &Arc<Self>, than: &Arc<Known>) -> Option<Arc<Known>> {
        self.read_again().await;
        self.known.load_full().filter(|known| !Arc::ptr_eq(known, than))
    }

    fn begin_reading(self: &Arc<Self>) {
        let this = Arc::clone(self);
        self.tracker.spawn(async move { this.read_again().await });
    }

    /// Reads the keys unless that has just happened; waits for a reading that is under way.
    async fn read_again(self: &Arc<Self>) {
        let mut read = Arc::clone(&self.read).lock_owned().await;
        let pause = if self.known.load().is_some() { PAUSE } else { FIRST_PAUSE };
        if !is_due(*read, pause) {
            return;
        }
        let this = Arc::clone(self);
        // Apart from the caller: a client that hangs up must not keep others from the keys.
        let reading = self.tracker.spawn(async move {
            match this.read().await {
                Ok(keys) => this.known.store(Some(Arc::new(Known { keys, since: Instant::now() }))),
                Err(error) => {
                    if matches!(error, Unread::NoKeys(NoKeys::Nothing)) {
                        this.known.store(None);
                    }
                    this.warn(&error);
                }
            }
            *read = Some(Instant::now());
        });
        let _ = reading.await;
    }

    async fn read(&self) -> Result<Keys, Unread> {
        let json = match &self.source {
            // It is short.
            Source::File(path) => std::fs::read(path)?.into(),
            Source::Server(server) => {
                let question = Question::new(&Method::GET, "/", HeaderMap::new());
                let reply = tokio::time::timeout(TIMEOUT, auth::answer(server, question)).await??;
                if reply.status != StatusCode::OK {
                    return Err(Unread::Status(reply.status));
                }
                reply.body
            }
        };
        Ok(Keys::read(&json)?)
    }

    fn warn(&self, error: &Unread) {
        if let Some(count) = self.line.count() {
            let (from, error) = (self.source.shown(), Chain(error));
            let kept = self.known.load().is_some();
            tracing::warn!(from, %error, kept, count, "the keys for tokens were not read");
        }
    }
}

impl Source {
    fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server(server) => server.name().to_owned(),
        }
    }
}

fn is_due(read: Option<Instant>, pause: Duration) -> bool {
    read.is_none_or(|at| at.elapsed() >= pause)
}

/// Between two readings, whatever tokens clients bring.
const PAUSE: Duration = Duration::from_secs(10);
/// Between two while there are no keys, since nobody can come in before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// When keys are read again though all tokens have known ones: one may have been withdrawn.
const AGE: Duration = Duration::from_mins(5);
/// When nobody has tried to read them for so long that the next client waits for it.
const FORGOTTEN: Duration = Duration::from_mins(10);
const TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
#[cfg(feature = "jwt")]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Two public keys of a curve; nothing is signed by them here.
    const SETS: [&str; 2] = [
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "AA"}]}"#,
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "2", "x": "AA"}]}"#,
    ];

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("polliwog-keys-{name}-{}", std::process::id()))
    }

    /// Returns a ring of the first set in a file of this name, and its keys.
    async fn ring(name: &str) -> (PathBuf, Arc<KeyRing>, Arc<Known>) {
        let path = file(name);
        std::fs::write(&path, SETS[0]).expect("it can be written");
        let ring = KeyRing::start(Source::File(path.clone()), TaskTracker::new());
        let first = ring.known().await.expect("they are read at once");
        (path, ring, first)
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_read_again_at_most_once_in_ten_seconds_and_stay_if_that_fails() {
        let (path, ring, first) = ring("rotated").await;
        std::fs::write(&path, SETS[1]).unwrap();
        advance(PAUSE.saturating_sub(Duration::from_millis(1))).await;
        assert!(ring.newer(&first).await.is_none(), "too early");
        advance(Duration::from_millis(1)).await;
        let (one, other) = tokio::join!(ring.newer(&first), ring.newer(&first));
        let (second, same) = (one.unwrap(), other.unwrap());
        assert!(Arc::ptr_eq(&second, &same), "one reading is for all that wait");

        std::fs::write(&path, "nothing").unwrap();
        advance(PAUSE).await;
        assert!(ring.newer(&second).await.is_none());
        assert!(Arc::ptr_eq(&ring.known().await.unwrap(), &second), "old keys are better than none");
        std::fs::write(&path, SETS[0]).unwrap();
        advance(PAUSE).await;
        assert!(ring.newer(&second).await.is_some());
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_are_withdrawn_are_forgotten_though_nobody_brings_an_unknown_one() {
        let (path, ring, first) = ring("withdrawn").await;
        std::fs::write(&path, SETS[1]).unwrap();
        advance(AGE).await;
        assert!(Arc::ptr_eq(&ring.known().await.unwrap(), &first));
        advance(Duration::from_millis(1)).await;
        assert!(Arc::ptr_eq(&ring.known().await.unwrap(), &first), "nobody waits for it");
        ring.tracker.close();
        ring.tracker.wait().await;
        assert!(!Arc::ptr_eq(&ring.known().await.unwrap(), &first));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_after_a_long_time_waits_for_the_keys_of_now() {
        let (path, ring, first) = ring("forgotten").await;
        std::fs::write(&path, SETS[1]).unwrap();
        advance(FORGOTTEN).await;
        let second = ring.known().await.unwrap();
        assert!(!Arc::ptr_eq(&second, &first));
        std::fs::write(&path, "nothing").unwrap();
        advance(FORGOTTEN).await;
        assert!(Arc::ptr_eq(&ring.known().await.unwrap(), &second), "old keys are better than none");
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_set_without_keys_of_use_withdraws_all() {
        let (path, ring, first) = ring("emptied").await;
        for (number, set) in
            [r#"{"keys": []}"#, r#"{"keys": [{"kty": "oct", "k": "AA"}]}"#].into_iter().enumerate()
        {
            std::fs::write(&path, set).unwrap();
            advance(PAUSE).await;
            if number == 0 {
                assert!(ring.newer(&first).await.is_none());
            }
            assert!(ring.known().await.is_none(), "{set}");
        }
        std::fs::write(&path, SETS[1]).unwrap();
        advance(FIRST_PAUSE).await;
        assert!(ring.known().await.is_some());
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_keys_they_are_asked_for_every_second() {
        let path = file("late");
        let ring = KeyRing::start(Source::File(path.clone()), TaskTracker::new());
        assert!(ring.known().await.is_none());
        std::fs::write(&path, SETS[0]).unwrap();
        assert!(ring.known().await.is_none());
        advance(FIRST_PAUSE).await;
        assert!(ring.known().await.is_some());
        std::fs::remove_file(path).unwrap();
    }
}
