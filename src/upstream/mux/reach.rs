//! Whether the backend of a shared connection can be reached, and the log lines about that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::chain::Chain;
use crate::throttle::Outage;
use crate::upstream::dial::Dialer;
use crate::upstream::{Health, OpenError};

/// The result of the last attempt to connect.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Whether it failed, and none has succeeded since.
    health: watch::Sender<Health>,
    /// Whether it failed because of a timeout.
    slow: AtomicBool,
    /// Whether it failed because no descriptor was left.
    short: AtomicBool,
    /// The log lines about that.
    outage: Outage,
}

impl Reach {
    pub(super) fn health(&self) -> Health {
        *self.health.borrow()
    }

    /// Ready once it is as wanted; that is looked at after each attempt.
    pub(super) async fn wait_for(&self, is_wanted: impl FnMut(&Health) -> bool) {
        let _ = self.health.subscribe().wait_for(is_wanted).await;
    }

    /// Returns why there is no connection, if attempts may take so long.
    pub(super) fn fault(&self, handshake_timeout: Duration) -> OpenError {
        if self.short.load(Ordering::Relaxed) {
            return OpenError::NoDescriptor(std::io::ErrorKind::NotConnected.into());
        }
        if self.slow.load(Ordering::Relaxed) {
            return OpenError::Slow(handshake_timeout);
        }
        OpenError::Down(std::io::Error::new(std::io::ErrorKind::NotConnected, "no shared connection"))
    }

    pub(super) fn note_down(&self, upstream: &Dialer, error: &OpenError) {
        self.slow.store(matches!(error, OpenError::Slow(_)), Ordering::Relaxed);
        let is_short = matches!(error, OpenError::NoDescriptor(_));
        self.short.store(is_short, Ordering::Relaxed);
        if is_short {
            return;
        }
        self.health.send_replace(Health::Down);
        if let Some(count) = self.outage.begin() {
            tracing::warn!(%upstream, error = %Chain(error), count, "no shared connection");
        }
    }

    pub(super) fn note_up(&self, upstream: &Dialer) {
        self.slow.store(false, Ordering::Relaxed);
        self.short.store(false, Ordering::Relaxed);
        self.health.send_replace(Health::Up);
        if self.outage.end() {
            tracing::info!(%upstream, "the shared connection is back");
        }
    }
}
