//! The names of an upstream's hosts: resolved before the first dial, and again in the background.

use std::io;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::sleep;
use tracing::debug;

use super::Dialer;
use crate::chain::Chain;
use crate::descriptors;

impl Dialer {
    /// Resolves the name of a URL's host, unless that was done a moment ago. What its addresses were stays, if it can't
    /// be resolved.
    pub(super) async fn resolve(self: &Arc<Self>, server: usize) -> io::Result<()> {
        if self.servers[server].known.is_some() {
            return Ok(());
        }
        // Without a free descriptor, a resolver reports the name as unknown.
        descriptors::check()?;
        let resolved = self.servers[server].look_up(self.resolve, self.connect_timeout).await?;
        if let Some(addresses) = resolved {
            self.addresses.resolved(server, &addresses);
            self.start_resolving();
        }
        Ok(())
    }

    /// Resolves all names, unless that was done a moment ago.
    pub(super) async fn resolve_all(self: &Arc<Self>) {
        let one = async |server| {
            if let Err(error) = self.resolve(server).await {
                debug!(upstream = %self, host = %self.servers[server], error = %Chain(&error), "a name cannot be resolved again");
            }
        };
        join_all((0..self.servers.len()).map(one)).await;
    }

    fn start_resolving(self: &Arc<Self>) {
        if std::mem::replace(&mut self.watch().resolves, true) {
            return;
        }
        let (dialer, stop) = (Arc::clone(self), self.background.stop.clone());
        self.background.spawn_vital("the resolver of an upstream's names", async move {
            let work = async {
                loop {
                    sleep(dialer.resolve_interval).await;
                    dialer.resolve_all().await;
                    // An address that failed may be gone.
                    dialer.settle(dialer.watch());
                }
            };
            stop.run_until_cancelled(work).await;
        });
    }
}
