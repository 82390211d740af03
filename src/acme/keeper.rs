//! Keeps one certificate fresh: looks at what there is, shows it to the listeners, and orders another one in time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::order::order;
use super::schedule::Attempts;
use super::storage::Storage;
use crate::chain::Chain;
use crate::meter::{CertificateOrder, Metrics};
use crate::tls::{AcmeAccount, Issued, Ordered, TlsError, Validity};

/// Keeps the certificate for one domain.
#[derive(Debug)]
pub(super) struct Keeper {
    storage: Storage,
    domain: String,
    /// Where it is shown.
    listeners: watch::Receiver<Vec<Arc<Ordered>>>,
    shown: watch::Sender<()>,
    metrics: Metrics,
    attempts: Attempts,
    /// What was last said of a file that cannot be used.
    said: String,
}

/// What became of an attempt to order.
enum Tried {
    /// A certificate was issued, or another process has ordered meanwhile.
    Done,
    Failed,
    /// Another order has the lock.
    Busy,
}

impl Keeper {
    pub(super) fn new(
        domain: String,
        account: &Arc<AcmeAccount>,
        listeners: watch::Receiver<Vec<Arc<Ordered>>>,
        shown: watch::Sender<()>,
        metrics: Metrics,
    ) -> Self {
        metrics.may_order();
        let (storage, attempts) = (Storage::new(account), Attempts::default());
        Self { storage, domain, listeners, shown, metrics, attempts, said: String::new() }
    }

    /// Runs for as long as there are listeners.
    pub(super) async fn run(mut self) {
        let chance = chance();
        loop {
            let due = self.due(chance).await;
            let now = SystemTime::now();
            let mut wait = due.duration_since(now).unwrap_or_default().min(LOOK);
            if wait.is_zero() {
                match self.order(chance).await {
                    Tried::Done | Tried::Failed => continue,
                    Tried::Busy => wait = BUSY,
                }
            }
            tokio::select! {
                () = sleep(wait) => {}
                changed = self.listeners.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.attempts = self.attempts.hurried();
                    self.keep_attempts();
                }
            }
        }
    }

    /// Looks at what there is and shows it. Returns when to order.
    async fn due(&mut self, chance: f64) -> SystemTime {
        let (storage, domain) = (self.storage.clone(), self.domain.clone());
        let looked = spawn_blocking(move || (storage.certificate(&domain), storage.attempts(&domain))).await;
        let Ok((certificate, attempts)) = looked else { return SystemTime::now() + LOOK };
        let validity = self.show(certificate);
        // Those that could not be kept count all the same.
        if let Some(kept) = attempts.filter(|kept| !kept.are_before(self.attempts)) {
            self.attempts = kept;
        }
        self.attempts.due(validity, SystemTime::now(), chance)
    }

    /// Shows what is kept to the listeners.
    fn show(&mut self, certificate: Result<Option<Issued>, TlsError>) -> Option<Validity> {
        let certificate = certificate.unwrap_or_else(|error| {
            let error = Chain(&error).to_string();
            if self.said != error {
                tracing::warn!(domain = self.domain, error, "a kept certificate cannot be used");
                self.said = error;
            }
            None
        });
        let issued = certificate?;
        let mut is_new = false;
        for listener in self.listeners.borrow_and_update().iter() {
            is_new |= listener.show(&issued);
        }
        if is_new {
            self.attempts = Attempts::default();
            self.shown.send_replace(());
        }
        Some(issued.validity)
    }

    /// Orders a certificate, unless another process does, or has just done so.
    async fn order(&mut self, chance: f64) -> Tried {
        let lock = match self.storage.lock() {
            Ok(Some(lock)) => lock,
            Ok(None) => return Tried::Busy,
            Err(error) => {
                self.fail(&(error.into(), None), chance);
                return Tried::Failed;
            }
        };
        if self.due(chance).await > SystemTime::now() {
            return Tried::Done;
        }
        tracing::info!(
            domain = self.domain,
            server = self.storage.account.directory,
            "a certificate is ordered"
        );
        let ordered = order(&self.storage, &self.domain).await;
        let tried = match ordered {
            Ok(issued) => {
                self.metrics.ordered(CertificateOrder::Done);
                let attempts = self.attempts.issued(issued.validity, SystemTime::now(), chance);
                let expires = httpdate::fmt_http_date(issued.validity.end);
                tracing::info!(domain = self.domain, expires, "a certificate was issued");
                if attempts != Attempts::default() {
                    let again_in = format!("{:?}", attempts.pause());
                    tracing::warn!(
                        domain = self.domain,
                        again_in,
                        "the issued certificate is due for its renewal already: is the clock right?"
                    );
                }
                self.show(Ok(Some(issued)));
                self.attempts = attempts;
                self.keep_attempts();
                Tried::Done
            }
            Err(failed) => {
                self.fail(&failed, chance);
                Tried::Failed
            }
        };
        drop(lock);
        tried
    }

    fn fail(&mut self, (error, asked): &super::order::Failed, chance: f64) {
        self.metrics.ordered(CertificateOrder::Failed);
        self.attempts = self.attempts.failed(error.failure(), *asked, SystemTime::now(), chance);
        self.keep_attempts();
        let (failures, error) = (self.attempts.failures, Chain(error));
        let again_in = format!("{:?}", self.attempts.pause());
        tracing::warn!(domain = self.domain, %error, failures, again_in, "no certificate was issued");
    }

    /// Keeps the attempts for the next process. If that fails, this one knows them all the same.
    fn keep_attempts(&self) {
        if let Err(error) = self.storage.keep_attempts(&self.domain, self.attempts) {
            tracing::debug!(error = %Chain(&error), "failures to order a certificate are not kept");
        }
    }
}

/// Returns a number from 0 to 1.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX)
}

/// How soon a certificate that another process has ordered is noticed.
const LOOK: Duration = Duration::from_secs(10);
/// How soon the end of another order is noticed.
const BUSY: Duration = Duration::from_secs(1);
