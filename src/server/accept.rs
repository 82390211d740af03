//! One listener: accepts connections until the server ends, and stays until the last of them is closed.

use std::future::{Future, pending};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::ending::Ending;
use super::listening::Listening;
use super::tasks::Tasks;
use crate::address::{ListenAddress, RemoteAddress};
use crate::descriptors;
use crate::duplex::Socket;
use crate::meter::Connections;
use crate::throttle::Throttle;

/// How a server ends. A drain comes first: until it is over, listeners stay open, as polling clients must come back for
/// their last batch.
#[derive(Clone, Default, Debug)]
pub struct Signals {
    /// Clients that are connected do better elsewhere; those that come are still served. Only HTTP/2 can say so (GOAWAY).
    pub drain: CancellationToken,
    /// From now on no connection is accepted, and each closes behind its next response: another process accepts.
    pub leave: CancellationToken,
    /// From now on no connection is accepted, and each closes after its current request; idle ones close at once.
    pub end: CancellationToken,
    /// All that is left is dropped, answered or not.
    pub cut: CancellationToken,
}

/// A listener that accepts connections.
pub(super) struct Accepting {
    pub(super) listener: Arc<Listening>,
    pub(super) address: ListenAddress,
    pub(super) tasks: Tasks,
    pub(super) signals: Signals,
    pub(super) ending: Ending,
    pub(super) connections: Connections,
    /// Whether it may use the reserved descriptors.
    pub(super) has_reserve: bool,
    /// How many clients may be refused at once, each with a reserved descriptor.
    pub(super) refusals: Arc<Semaphore>,
}

/// An accepted client.
struct Accepted {
    stream: Socket,
    peer: RemoteAddress,
    /// Held while the client is refused, if there is no room for it.
    refusal: Option<OwnedSemaphorePermit>,
}

impl Accepting {
    /// Runs until the server ends and the last connection is closed. Each connection is a task that begins with `start`, unless
    /// that closes it at once, or with `refuse` if no descriptor is left for it.
    pub(super) async fn run<F, C, G, R>(self, start: F, refuse: G)
    where
        F: Fn(Socket, RemoteAddress) -> Option<C>,
        C: Future<Output = ()> + Send + 'static,
        G: Fn(Socket, RemoteAddress) -> R,
        R: Future<Output = ()> + Send + 'static,
    {
        self.accept(start, refuse).await;

        let Self { listener, signals, ending, tasks, .. } = self;
        // Closed first: a client that connects from now on is refused by the system, and can go elsewhere.
        if let Some(file) = listener.file()
            && signals.leave.is_cancelled()
        {
            file.leave();
        }
        drop(listener);
        ending.leave();
        let end = async {
            signals.end.cancelled().await;
            ending.begin();
            pending::<()>().await;
        };
        tokio::select! {
            () = signals.cut.cancelled() => {}
            () = tasks.ended() => return,
            () = end => {}
        }
        ending.cut();
        tasks.ended().await;
    }

    async fn accept<F, C, G, R>(&self, start: F, refuse: G)
    where
        F: Fn(Socket, RemoteAddress) -> Option<C>,
        C: Future<Output = ()> + Send + 'static,
        G: Fn(Socket, RemoteAddress) -> R,
        R: Future<Output = ()> + Send + 'static,
    {
        let (mut pause, failures, refusals) = (Pause::default(), Throttle::default(), Throttle::default());
        let (mut shortage, mut drains) = (None, false);
        loop {
            let accepted = tokio::select! {
                () = self.stop_requested() => return,
                () = self.signals.drain.cancelled(), if !drains => {
                    drains = true;
                    self.ending.move_clients();
                    continue;
                }
                accepted = self.next(&mut shortage) => accepted,
            };
            match accepted {
                Ok(Accepted { stream, peer, refusal: None }) => {
                    (pause, shortage) = (Pause::default(), None);
                    if let Some(started) = start(stream, peer) {
                        self.tasks.spawn(started);
                    }
                }
                Ok(Accepted { stream, peer, refusal: Some(permit) }) => {
                    self.connections.accept_failed();
                    if let Some(count) = refusals.count() {
                        warn!(address = %self.address, count, "no file descriptors left; clients are answered 503");
                    }
                    let refused = timeout(REFUSAL_TIMEOUT, refuse(stream, peer));
                    self.tasks.spawn(async move {
                        let _ = refused.await;
                        drop(permit);
                    });
                }
                Err(error) if is_about_one_client(&error) => {
                    debug!(%error, "a client disconnected before it was accepted");
                }
                Err(error) => {
                    self.connections.accept_failed();
                    let pause = pause.next();
                    if let Some(count) = failures.count() {
                        warn!(%error, address = %self.address, count, "cannot accept connections");
                    }
                    if timeout(pause, self.stop_requested()).await.is_ok() {
                        return;
                    }
                }
            }
        }
    }

    /// Accepts the next client. If there is no descriptor for it, it stays in the listener's queue for a moment; then
    /// it gets a reserved one, to be told that there is none. `shortage` is since when there has been none.
    async fn next(&self, shortage: &mut Option<Instant>) -> io::Result<Accepted> {
        let mut refusal = None;
        if !self.has_reserve
            && let Err(error) = descriptors::check()
        {
            if shortage.get_or_insert_with(Instant::now).elapsed() < ROOM_TIMEOUT {
                return Err(error);
            }
            refusal = Arc::clone(&self.refusals).acquire_owned().await.ok();
        }
        let (stream, peer) = self.listener.accept().await?;
        // It may have waited for long.
        let refusal = refusal.filter(|_| descriptors::check().is_err());
        if !self.has_reserve && refusal.is_none() {
            // Another task may have taken the last one meanwhile. This client is served anyway, and the next one waits.
            let _ = descriptors::admit(&stream);
        }
        Ok(Accepted { stream, peer, refusal })
    }

    async fn stop_requested(&self) {
        tokio::select! {
            () = self.signals.leave.cancelled() => {}
            () = self.signals.end.cancelled() => {}
            () = self.signals.cut.cancelled() => {}
        }
    }
}

/// Pauses between failed attempts: the listener's queue stays readable while descriptors are short, and retrying at
/// once would take a whole core.
#[derive(Default)]
struct Pause {
    failures: u32,
}

impl Pause {
    fn next(&mut self) -> Duration {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        pause.min(PAUSE_MAX)
    }
}

/// A part of the reserve: the rest is for the operator.
pub(super) const REFUSALS_MAX: usize = 4;
/// Long enough for a client's request, the response and the close.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Half-closed clients release descriptors within that time.
const ROOM_TIMEOUT: Duration = Duration::from_millis(500);
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The proxy recovers within a second after a shortage.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Returns whether the error concerns only the connection at the head of the queue, so that the next may be fine.
fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_second() {
        let mut pause = Pause::default();
        let pauses: Vec<_> = (0..10).map(|_| pause.next().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
        pause.failures = u32::MAX - 1;
        assert_eq!(pause.next(), PAUSE_MAX);
    }

    #[test]
    fn only_what_one_client_did_is_passed_over() {
        assert!(is_about_one_client(&io::ErrorKind::ConnectionAborted.into()));
        // EMFILE: too many open files.
        assert!(!is_about_one_client(&io::Error::from_raw_os_error(24)));
    }
}
