//! The tasks of a socket's connections.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::throttle::Throttle;

/// The tasks of a socket's connections. A connection may go on in another task, so none is aborted from outside: each ends by
/// itself when the server is cut.
#[derive(Clone, Default, Debug)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    crashes: Arc<Throttle>,
}

impl Tasks {
    /// Runs a task. If it panics, it takes only its own connection with it.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let crashes = Arc::clone(&self.crashes);
        self.tracker.spawn(AssertUnwindSafe(task).catch_unwind().map(move |ended| {
            if ended.is_err()
                && let Some(count) = crashes.count()
            {
                error!(count, "a connection task panicked");
            }
        }));
    }

    /// Waits until all of them have ended; there will be no others but theirs.
    pub(super) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
