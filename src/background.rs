//! Tasks that run beside the requests for the life of the process, and what happens when one panics.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

/// Where background tasks run.
#[derive(Clone, Default, Debug)]
pub struct Background {
    /// Knows which tasks are left.
    pub tracker: TaskTracker,
    /// Cancelled when they should end.
    pub stop: CancellationToken,
    /// Learns of panics.
    pub vital: Vital,
}

impl Background {
    /// Spawns a task whose panic ends the process. The task itself checks when to stop.
    pub fn spawn_vital(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(self.vital.guard(what, task));
    }

    /// Spawns such a task that would not end by itself: it is dropped when all should end.
    pub fn spawn_endless(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.spawn_vital(what, async move {
            let _stopped = stop.run_until_cancelled(task).await;
        });
    }
}

/// The tasks that the process can't do without: accept loops, probers, maintenance. The runtime swallows the panic of a
/// task that is not joined, and the process would only look healthy; so each of them is guarded.
#[derive(Clone, Default, Debug)]
pub struct Vital {
    failed: CancellationToken,
}

impl Vital {
    /// Runs `task`; if it panics, the process exits.
    pub fn guard<T>(&self, what: &'static str, task: T) -> impl Future<Output = ()> + Send + use<T>
    where
        T: Future<Output = ()> + Send,
    {
        let failed = self.failed.clone();
        async move {
            // Unwind safe: the process exits, so a state that the task left inconsistent is not used again.
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                error!(what, "a vital task panicked; the process exits");
                failed.cancel();
            }
        }
    }

    /// Ready once a guarded task has panicked.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_vital_task_that_panics_is_noticed() {
        let background = Background::default();
        background.spawn_vital("a task of this test", async { panic!("on purpose") });
        background.vital.failed().await;
        background.tracker.close();
        background.tracker.wait().await;
    }

    #[tokio::test]
    async fn a_vital_task_may_end_or_be_dropped() {
        let vital = Vital::default();
        vital.guard("one that ends", async {}).await;
        drop(vital.guard("one that is dropped", pending()));
        assert!(vital.failed().now_or_never().is_none());
    }
}
