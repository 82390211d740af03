//! Orders certificates by ACME (RFC 8555) and keeps them fresh, for as long as listeners want them.
//!
//! All that is known stands in the files of a folder ([`Storage`]): processes that share it order each certificate once, and
//! a new process begins with what the one before has left. One [`Keeper`] for each certificate looks at them, decides by a
//! pure [`Attempts`](schedule::Attempts) when to order, and shows what there is to the listeners. These answer the ACME
//! server themselves, from the same folder ([`ServerTls::config_for`](crate::tls::ServerTls::config_for)).

mod client;
mod keeper;
mod order;
mod schedule;
mod storage;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::keeper::Keeper;
pub use self::storage::Storage;
use crate::meter::Metrics;
use crate::tls::{AcmeAccount, Ordered};

/// The certificates that are wanted at the moment.
#[derive(Clone, Debug)]
pub struct Orders {
    wanted: watch::Sender<Vec<Arc<Ordered>>>,
    /// Changes with each certificate that is shown.
    shown: watch::Sender<()>,
}

/// A keeper at work, and its listeners.
struct Kept {
    account: Arc<AcmeAccount>,
    listeners: watch::Sender<Vec<Arc<Ordered>>>,
    task: AbortHandle,
}

impl Orders {
    /// Begins with those of the first configuration.
    pub fn new(wanted: Vec<Arc<Ordered>>) -> Self {
        Self { wanted: watch::Sender::new(wanted), shown: watch::Sender::new(()) }
    }

    /// Replaces what is wanted. What failed is tried again soon: an operator may have mended why.
    pub fn want(&self, wanted: Vec<Arc<Ordered>>) {
        self.wanted.send_replace(wanted);
    }

    /// Returns the domains that have no certificate yet.
    pub fn missing(&self) -> Vec<String> {
        let mut missing: Vec<_> = self
            .wanted
            .borrow()
            .iter()
            .filter(|one| one.is_missing())
            .map(|one| one.domain.clone())
            .collect();
        missing.dedup();
        missing
    }

    /// Returns what changes with each certificate that is shown.
    pub fn shown(&self) -> watch::Receiver<()> {
        self.shown.subscribe()
    }

    /// Orders what is wanted, and again before it expires, until one of these is cancelled: what a process leaves undone, the
    /// next one does.
    pub async fn run(self, metrics: Metrics, [one, other]: [CancellationToken; 2]) {
        let _ended = one.run_until_cancelled(other.run_until_cancelled(self.keep(metrics))).await;
    }

    async fn keep(self, metrics: Metrics) {
        let mut wanted = self.wanted.subscribe();
        let mut all: HashMap<PathBuf, Kept> = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            let mut listeners: HashMap<PathBuf, Vec<Arc<Ordered>>> = HashMap::new();
            for one in wanted.borrow_and_update().iter() {
                listeners.entry(one.account.certificate(&one.domain)).or_default().push(Arc::clone(one));
            }
            all.retain(|file, kept| {
                let is_wanted = listeners.get(file).is_some_and(|new| new[0].account == kept.account);
                if !is_wanted {
                    kept.task.abort();
                }
                is_wanted
            });
            for (file, listeners) in listeners {
                if let Some(kept) = all.get(&file) {
                    kept.listeners.send_replace(listeners);
                    continue;
                }
                let account = Arc::clone(&listeners[0].account);
                let domain = listeners[0].domain.clone();
                let sender = watch::Sender::new(listeners);
                let keeper =
                    Keeper::new(domain, &account, sender.subscribe(), self.shown.clone(), metrics.clone());
                let task = tasks.spawn(keeper.run());
                all.insert(file, Kept { account, listeners: sender, task });
            }
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() { return },
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
            }
        }
    }
}
