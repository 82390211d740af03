//! What a node that stops does about the requests that wait at other nodes: their sessions live on there.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::members::Cluster;

impl Cluster {
    /// Has every request of this node's clients answered that waits at another node, and every stream ended that leads to
    /// one: spread over a quarter of `within`, as this node's own sessions end. Ready when `own` says that these have
    /// ended, and none of the others is left.
    ///
    /// A client may ask here again until its load balancer knows, so what waits is looked at again.
    pub async fn release(&self, within: Duration, own: impl Future<Output = ()>) {
        let has_ended = Cell::new(false);
        let own = async {
            own.await;
            has_ended.set(true);
        };
        let others = async {
            self.release_all(within / 4).await;
            while !has_ended.get() || self.waiting() > 0 {
                sleep(LOOK).await;
                self.release_all(within / 16).await;
            }
        };
        tokio::join!(own, others);
    }

    /// From now on, a client whose connection is cut here is not reported as gone: it may come by another node.
    pub fn fall_mute(&self) {
        self.channels().iter().for_each(|channel| channel.fall_mute());
    }

    /// Releases what waits, one after the other in even steps over `span`; stops when nothing is left.
    async fn release_all(&self, span: Duration) {
        let waiting: Vec<_> =
            self.channels().into_iter().map(|channel| (channel.waiting(), channel)).collect();
        let count: usize = waiting.iter().map(|(numbers, _)| numbers.len()).sum();
        let step = span / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let mut due = Instant::now();
        for (numbers, channel) in waiting {
            for number in numbers {
                channel.release(number);
                due += step;
                while Instant::now() < due {
                    if self.waiting() == 0 {
                        return;
                    }
                    sleep_until(due.min(Instant::now() + LOOK)).await;
                }
            }
        }
    }

    /// Returns how many requests wait at other nodes.
    fn waiting(&self) -> usize {
        self.channels().iter().map(|channel| channel.waiting().len()).sum()
    }
}

/// How soon the end of the last request is noticed.
const LOOK: Duration = Duration::from_millis(20);
