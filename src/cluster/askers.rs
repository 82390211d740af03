//! The connections on which other nodes and processes ask this one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::{Duration, Instant, sleep};

use super::channel::Channel;

/// All of them.
#[derive(Default, Debug)]
pub(super) struct Askers(Mutex<Vec<Weak<Channel>>>);

impl Askers {
    /// Adds a new one.
    pub(super) fn add(&self, channel: &Arc<Channel>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(channel));
    }

    /// Asks each whether it is there, and waits until it has said so, or its connection has ended because it was silent. Returns
    /// whether all have said so.
    pub(super) async fn are_there(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all: Vec<_> = all.iter().filter_map(Weak::upgrade).filter(|channel| !channel.is_over()).collect();
        let waits = |channel: &Arc<Channel>| channel.told().asked.is_some();
        for channel in all.iter().filter(|channel| !waits(channel)) {
            channel.ping(Instant::now());
        }
        while all.iter().any(|channel| !channel.is_over() && waits(channel)) {
            sleep(PAUSE).await;
        }
        !all.iter().any(waits)
    }
}

/// How soon an answer is looked for again.
const PAUSE: Duration = Duration::from_millis(2);
