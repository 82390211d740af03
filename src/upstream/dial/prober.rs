//! Probes the addresses that failed, in the background.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::{Dialer, PROBE_INTERVAL, Watch};
use crate::descriptors;
use crate::upstream::Health;
use crate::upstream::address::Endpoint;

impl Dialer {
    pub(super) fn start_prober(self: &Arc<Self>) {
        let mut watch = self.watch();
        if watch.prober.is_none() {
            let life = self.background.stop.child_token();
            watch.prober = Some(life.clone());
            let dialer = Arc::clone(self);
            self.background.spawn_vital("the prober of an upstream", async move {
                life.run_until_cancelled(dialer.probe()).await;
            });
        }
    }

    /// Ends the prober if it has nothing left to do.
    pub(super) fn settle(&self, mut watch: MutexGuard<'_, Watch>) {
        if let Some(prober) = watch.prober.take_if(|_| !self.addresses.has_failed()) {
            if !self.addresses.are_all_out() {
                self.end_outage(&mut watch);
            }
            prober.cancel();
        }
    }

    /// Probes the addresses that failed: at growing intervals, but once a second if none can be reached.
    async fn probe(self: &Arc<Self>) {
        loop {
            sleep(if self.hold.is_zero() { PROBE_INTERVAL } else { HELD_INTERVAL }).await;
            self.addresses.forgive();
            let is_down = self.health() == Health::Down;
            if is_down {
                self.resolve_all().await;
            }
            let due = self.addresses.due(is_down);
            join_all(due.into_iter().map(|endpoint| self.probe_endpoint(endpoint))).await;
            self.settle(self.watch());
        }
    }

    async fn probe_endpoint(self: &Arc<Self>, endpoint: Endpoint) {
        if endpoint.address.is_none() {
            // If it can be resolved, its addresses take its place.
            if self.resolve(endpoint.server).await.is_err() {
                self.addresses.postpone(endpoint);
            }
            return;
        }
        let reached = async { self.secure(endpoint, self.connect(endpoint).await?, None).await };
        match reached.await {
            Ok(_) => self.note_up(endpoint),
            Err(error) if descriptors::is_shortage(&error) => {}
            Err(_) => self.addresses.postpone(endpoint),
        }
    }
}

/// If clients may be waiting for the backend.
const HELD_INTERVAL: Duration = Duration::from_millis(250);
