//! When to stop: the first SIGTERM, SIGINT or SIGQUIT starts a drain, the second aborts what is left.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::background::Vital;
use crate::bridge::Registry;

/// The two decisions to stop, each taken once. Anything else that may take one cancels its token.
#[derive(Debug)]
pub struct Drain {
    /// Sessions should be closed cleanly, within the drain's time.
    pub started: CancellationToken,
    /// Time is up.
    pub cut: CancellationToken,
    /// Dropped with this value; not on the tracker, which waits for tasks that end by themselves.
    _listening: JoinSet<()>,
}

impl Drain {
    /// Handles signals for as long as the value lives. `reload` is notified when the configuration should be read again,
    /// `reopen` when the files of logs should be opened again, `successor` when a successor should be started; `None` if there can be none.
    pub fn on(
        signals: Signals,
        vital: &Vital,
        reload: Arc<Notify>,
        reopen: Arc<Notify>,
        successor: Option<Arc<Notify>>,
    ) -> Self {
        let (started, cut) = (CancellationToken::new(), CancellationToken::new());
        let mut listening = JoinSet::new();
        let handled = handle_signals(signals, started.clone(), cut.clone(), reload, reopen, successor);
        listening.spawn(vital.guard("the handling of signals", handled));
        Self { started, cut, _listening: listening }
    }
}

/// Closes every session cleanly, spread over a quarter of `within`; ready when none is left.
///
/// Otherwise all their clients would reconnect elsewhere at the same moment. A client has half of `within` to fetch its
/// last messages. A handshake that was pending when the drain began may still create a session, so the index is walked
/// again until it stays empty.
pub async fn end_sessions(registry: &Registry, within: Duration) {
    end_all(registry, within / 2, within / 4).await;
    while !registry.is_settled() {
        sleep(LOOK).await;
        // Most are ending already; the walk is slow because there may be many.
        end_all(registry, within / 2, within / 16).await;
    }
}

/// Ends every session, one after the other in even steps over `span`; stops when none is left.
async fn end_all(registry: &Registry, patience: Duration, span: Duration) {
    let sessions = registry.all();
    let step = span / u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
    let mut due = Instant::now();
    for session in sessions {
        session.drain(patience);
        due += step;
        // In short waits: with the last session gone, the process need not stay for the rest of the span.
        while Instant::now() < due {
            if registry.is_empty() {
                return;
            }
            sleep_until(due.min(Instant::now() + LOOK)).await;
        }
    }
}

/// How soon the end of the last session is noticed.
const LOOK: Duration = Duration::from_millis(20);

/// The signals that are handled. Any of them would otherwise end the process without a drain.
#[derive(Debug)]
pub struct Signals([(Signal, &'static str, SignalAction); 6]);

/// What the process does at a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SignalAction {
    /// It drains, or aborts its drain.
    Stop,
    /// It starts a successor, if that is configured.
    Succeed,
    /// It reads its configuration again.
    Reload,
    /// It opens the files of its logs again.
    Reopen,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The operating system does not allow signals to be handled.
    pub fn listen() -> io::Result<Self> {
        let listen = |kind, name, action| Ok::<_, io::Error>((signal(kind)?, name, action));
        Ok(Self([
            listen(SignalKind::terminate(), "SIGTERM", SignalAction::Stop)?,
            listen(SignalKind::interrupt(), "SIGINT", SignalAction::Stop)?,
            listen(SignalKind::quit(), "SIGQUIT", SignalAction::Stop)?,
            listen(SignalKind::hangup(), "SIGHUP", SignalAction::Reload)?,
            listen(SignalKind::user_defined1(), "SIGUSR1", SignalAction::Reopen)?,
            listen(SignalKind::user_defined2(), "SIGUSR2", SignalAction::Succeed)?,
        ]))
    }

    async fn next(&mut self) -> (&'static str, SignalAction) {
        poll_fn(|cx| {
            let mut came = self.0.iter_mut().filter_map(|(signal, name, action)| {
                signal.poll_recv(cx).is_ready().then_some((*name, *action))
            });
            came.next().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

async fn handle_signals(
    mut signals: Signals,
    started: CancellationToken,
    cut: CancellationToken,
    reload: Arc<Notify>,
    reopen: Arc<Notify>,
    successor: Option<Arc<Notify>>,
) {
    loop {
        let (signal, action) = signals.next().await;
        match (action, &successor) {
            (SignalAction::Stop, _) => {}
            (SignalAction::Succeed, Some(successor)) => {
                successor.notify_one();
                continue;
            }
            (SignalAction::Succeed, None) => {
                info!(signal, "signal ignored: without [succession] there is no successor");
                continue;
            }
            (SignalAction::Reload, _) => {
                reload.notify_one();
                continue;
            }
            (SignalAction::Reopen, _) => {
                reopen.notify_one();
                continue;
            }
        }
        match step(&started, &cut) {
            Step::Drain => info!(signal, "draining; a second signal stops at once"),
            Step::Cut => warn!(signal, "stopping at once"),
            Step::Nothing => info!(signal, "already stopping"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Drain,
    Cut,
    Nothing,
}

/// Returns the meaning of one more signal. It depends on the tokens, so that a signal aborts a drain that something
/// else started.
fn step(started: &CancellationToken, cut: &CancellationToken) -> Step {
    if !started.is_cancelled() {
        started.cancel();
        return Step::Drain;
    }
    if !cut.is_cancelled() {
        cut.cancel();
        return Step::Cut;
    }
    Step::Nothing
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::timeout;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::bridge::{Burden, Entry, RelayHandle, Wishes};
    use crate::dialect::websocket::PlainFraming;
    use crate::end::End;
    use crate::route_id::RouteId;

    #[test]
    fn the_first_signal_drains_and_the_second_cuts() {
        let (started, cut) = (CancellationToken::new(), CancellationToken::new());
        assert_eq!(step(&started, &cut), Step::Drain);
        assert!(started.is_cancelled() && !cut.is_cancelled());
        assert_eq!(step(&started, &cut), Step::Cut);
        assert!(cut.is_cancelled());
        assert_eq!(step(&started, &cut), Step::Nothing);
    }

    #[test]
    fn a_signal_cuts_a_drain_that_something_else_started() {
        let (started, cut) = (CancellationToken::new(), CancellationToken::new());
        started.cancel();
        assert_eq!(step(&started, &cut), Step::Cut);
    }

    #[tokio::test]
    async fn real_signals_of_either_kind_are_heard() {
        let drain =
            Drain::on(Signals::listen().unwrap(), &Vital::default(), Arc::default(), Arc::default(), None);
        send("TERM");
        timeout(PATIENCE, drain.started.cancelled()).await.expect("SIGTERM starts the drain");
        assert!(!drain.cut.is_cancelled());
        send("INT");
        timeout(PATIENCE, drain.cut.cancelled()).await.expect("SIGINT cuts it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_is_spread_over_a_quarter_of_its_time() {
        for count in [1, 2, 400, 10_000] {
            let sessions = Sessions::new(10_000);
            (0..count).for_each(|_| sessions.begin());
            let start = Instant::now();
            end_sessions(&sessions.registry, 30 * SECOND).await;
            let drained = start.elapsed();
            let ends = sessions.ends();
            assert_eq!(ends.len(), count as usize);
            let due = |index: u32| 30 * SECOND / 4 * index / count;
            for (end, index) in ends.into_iter().zip(0..) {
                let late = (end - start).checked_sub(due(index));
                assert!(late.is_some_and(|late| late < LOOK), "{index} of {count}: {:?}", end - start);
            }
            assert!(drained < due(count - 1) + 2 * LOOK, "it ends with the last session: {drained:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_begins_in_a_drain_is_told_as_well() {
        let sessions = Sessions::new(2);
        let handshake = sessions.registry.admit().unwrap();
        let begins = async {
            sleep(9 * SECOND).await;
            sessions.begin();
            drop(handshake);
        };
        let start = Instant::now();
        tokio::join!(begins, end_sessions(&sessions.registry, 30 * SECOND));
        assert_eq!(sessions.ends().len(), 1);
        assert!(start.elapsed() < 10 * SECOND, "{:?}", start.elapsed());
    }

    /// Sessions that end as soon as they are told.
    struct Sessions {
        registry: Registry,
        ends: Arc<Mutex<Vec<Instant>>>,
    }

    impl Sessions {
        fn new(max: usize) -> Self {
            Self { registry: Registry::new(max), ends: Arc::default() }
        }

        fn begin(&self) {
            let (registry, ends) = (&self.registry, Arc::clone(&self.ends));
            let admission = registry.admit().unwrap();
            let reservation = registry.reserve_fresh(&RouteId::new(None, "/")).unwrap();
            let (framing, tally) = (Arc::new(PlainFraming), crate::tally::Tally::of(None));
            let handle = Arc::new(RelayHandle {
                framing,
                wishes: Wishes::default(),
                route: None,
                tally,
                burden: Burden::default(),
            });
            reservation.enter(Entry::Relay(Arc::clone(&handle)));
            TaskTracker::new().spawn(async move {
                poll_fn(|cx| handle.wishes.poll(cx)).await;
                ends.lock().unwrap().push(Instant::now());
                reservation.end(End::Drained);
                drop(admission);
            });
        }

        /// Returns when each session ended, in that order.
        fn ends(&self) -> Vec<Instant> {
            self.ends.lock().unwrap().clone()
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// Sends a signal to this process.
    fn send(signal: &str) {
        let status =
            Command::new("kill").args(["-s", signal, &std::process::id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    const PATIENCE: Duration = Duration::from_secs(10);
}
