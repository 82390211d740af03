//! The connection pool of a backend.
//!
//! Not hyper-util's client: there the path is fixed before the connection is chosen, but each of an upstream's URLs may
//! have its own path. Also, whether a connection had served a request before decides here whether a request may be
//! repeated.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::duplex::{Answers, Patience};
use crate::upstream::address::Endpoint;
use crate::upstream::request_body::RequestBody;
use crate::upstream::target::Target;

/// One connection that speaks HTTP.
pub(super) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    /// Its target, and the address that it leads to, if there are several.
    pub(super) target: Target,
    pub(super) endpoint: Option<Endpoint>,
    /// The patience with the backend, as the current request sets it.
    pub(super) patience: Patience,
    /// Notes each request: its response comes next.
    pub(super) answers: Answers,
    /// Ends the connection, whatever it is doing.
    pub(super) life: CancellationToken,
    /// Whether somebody has logged in on it, so that it serves only that client's connection.
    pub(super) is_personal: bool,
}

/// The idle connections of one upstream.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    background: Background,
}

#[derive(Default)]
struct Idle {
    /// The longest idle first.
    kept: Vec<Kept>,
    /// Whether a task closes connections that have been idle for too long.
    swept: bool,
}

struct Kept {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(background: Background) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), background })
    }

    /// Returns an idle connection to this address, the most recently used one.
    pub(super) fn take(&self, endpoint: Option<Endpoint>) -> Option<Connection> {
        let mut idle = self.lock();
        loop {
            let index = idle.kept.iter().rposition(|kept| kept.connection.endpoint == endpoint)?;
            let Kept { connection, since } = idle.kept.remove(index);
            if since.elapsed() >= IDLE_TIMEOUT {
                // Those before it have been idle for longer.
                idle.kept.drain(..index);
            } else if !connection.sender.is_closed() {
                // It may be closing even now, which `Forwarder::ask` handles.
                return Some(connection);
            }
        }
    }

    /// Runs `work` on the pool's tracker until it ends by itself or the upstream does.
    pub(super) fn spawn<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = self.background.stop.clone();
        self.background.tracker.spawn(async move { life.run_until_cancelled(work).await });
    }

    /// Takes back a connection whose response was read, or given up.
    pub(super) fn give_back(self: &Arc<Self>, mut connection: Connection) {
        // Hyper is ready when it has written the request to its end and read the response to its end.
        if connection.sender.is_ready() {
            self.keep(connection);
        } else if !connection.sender.is_closed() {
            // The end of the request may still be pending, and its client may never send it.
            let pool = Arc::clone(self);
            let limit = connection.patience.limit();
            self.spawn(async move {
                match timeout(limit, connection.sender.ready()).await {
                    Ok(Ok(())) => pool.keep(connection),
                    Ok(Err(_)) => {}
                    Err(_) => connection.life.cancel(),
                }
            });
        }
    }

    fn keep(self: &Arc<Self>, connection: Connection) {
        let mut idle = self.lock();
        if idle.kept.len() < IDLE_MAX && !self.background.stop.is_cancelled() {
            idle.kept.push(Kept { connection, since: Instant::now() });
            if !std::mem::replace(&mut idle.swept, true) {
                let (pool, stop) = (Arc::clone(self), self.background.stop.clone());
                self.background.spawn_vital("the sweep of idle connections", async move {
                    stop.run_until_cancelled(pool.sweep()).await;
                });
            }
        }
    }

    /// Closes connections that were idle for too long, while any are kept.
    async fn sweep(&self) {
        loop {
            sleep(SWEEP_INTERVAL).await;
            let mut idle = self.lock();
            idle.kept
                .retain(|kept| kept.since.elapsed() < IDLE_TIMEOUT && !kept.connection.sender.is_closed());
            // Under the lock in which `keep` looks at `swept`: no connection is kept without a sweep.
            if idle.kept.is_empty() {
                idle.swept = false;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.lock().kept.len()).finish_non_exhaustive()
    }
}

/// As many as a busy backend needs between two bursts; more are closed when they become idle.
const IDLE_MAX: usize = 64;
/// Shorter than the timeout of common servers (Node closes after 5 s), so that this side closes first: a request that
/// meets the other side's close cannot always be repeated.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
