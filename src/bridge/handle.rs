//! The handle of a living session: what a request can do with it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::admission::Leave;
use super::clock::clock_now;
use super::driver::{Driver, Pipe};
use super::info::BridgeInfo;
use super::socket::ClientSocket;
use crate::meter::UpgradeOutcome;
use crate::session::{Ending, PollRefused, ProbeRefused, Session, Transport};
use crate::upstream::Link;

/// One living session. Shared by the index, by the requests that concern it, and by its task.
pub struct Bridge {
    driver: Mutex<Driver>,
    info: Arc<BridgeInfo>,
}

/// What the client came on.
pub enum Front {
    /// A poll, which [`Bridge::poll`] parks at once.
    Polling,
    /// A framed WebSocket.
    WebSocket(Box<dyn ClientSocket>),
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Polling => "Polling",
            Self::WebSocket(_) => "WebSocket",
        })
    }
}

impl Bridge {
    /// Joins a session and its link. Nothing moves before [`start`](Self::start).
    pub(super) fn new(
        session: Session,
        info: BridgeInfo,
        link: Box<dyn Link>,
        front: Front,
        entry: Box<dyn Leave>,
    ) -> Arc<Self> {
        let info = Arc::new(info);
        let socket = match front {
            Front::Polling => None,
            Front::WebSocket(socket) => Some(socket),
        };
        info.meter.session_opened(info.transport);
        tracing::debug!(parent: &info.span, transport = info.transport.word(), "session began");
        let driver = Driver::new(session, Arc::clone(&info), link, socket, entry);
        Arc::new(Self { driver: Mutex::new(driver), info })
    }

    /// Starts the session's task.
    pub(super) fn start(self: &Arc<Self>) {
        let task = TaskOf(Arc::clone(self));
        self.info.tracker.spawn(std::future::poll_fn(move |cx| task.0.turn(|driver| driver.poll_task(cx))));
    }

    /// Returns what does not change.
    pub fn info(&self) -> &BridgeInfo {
        &self.info
    }

    /// Returns the same, for those who outlive the bridge.
    pub fn info_shared(&self) -> Arc<BridgeInfo> {
        Arc::clone(&self.info)
    }

    /// Returns the transport that the client is on now.
    pub fn transport(&self) -> Transport {
        self.turn(|driver| driver.session.transport())
    }

    /// Offers a WebSocket as a candidate for an upgrade.
    ///
    /// # Errors
    /// It is given back, to be closed without a code.
    pub fn probe(&self, socket: Box<dyn ClientSocket>) -> Result<(), Box<dyn ClientSocket>> {
        self.info.meter.upgrade(UpgradeOutcome::Tried);
        let now = clock_now();
        self.turn(|driver| {
            driver.catch_up(now);
            let taken = match driver.session.handle_probe_opened(now) {
                Ok(()) => {
                    driver.probe = Some(socket);
                    driver.probe_state = Pipe::Clean;
                    Ok(())
                }
                Err(ProbeRefused) => Err(socket),
            };
            driver.drive_inline();
            taken
        })
        .inspect_err(|_| self.info.meter.upgrade(UpgradeOutcome::Failed))
    }

    /// Returns what the session goes on saying, once it has ended.
    pub fn ending(&self) -> Option<Ending> {
        self.turn(|driver| driver.session.ending())
    }

    /// The client says that it is done.
    ///
    /// # Errors
    /// The session was over before.
    pub fn leave(&self) -> Result<(), PollRefused> {
        let now = clock_now();
        self.turn(|driver| {
            driver.catch_up(now);
            if driver.session.is_ended() {
                return Err(PollRefused::Over);
            }
            driver.session.handle_leave(now);
            driver.drive_inline();
            Ok(())
        })
    }

    /// Ends the session in good order: its client takes what is left within `patience`.
    pub fn drain(&self, patience: Duration) {
        self.turn(|driver| {
            driver.session.handle_drain(patience, clock_now());
            driver.drive_inline();
        });
    }

    /// Locks the driver for one turn, in which nothing may wait.
    ///
    /// A panic in a turn leaves the driver in an unknown state, so it ends the session before anything else happens to
    /// it.
    pub(super) fn turn<T>(&self, act: impl FnOnce(&mut Driver) -> T) -> T {
        let alarm = Alarm(self);
        let mut driver = self.driver.lock().unwrap_or_else(|poisoned| {
            self.driver.clear_poison();
            let mut driver = poisoned.into_inner();
            driver.abandon();
            driver
        });
        let done = act(&mut driver);
        let woken = driver.polls.take_woken();
        drop(driver);
        std::mem::forget(alarm);
        // Woken earlier, on another thread, a poll would only wait for the lock.
        if let Some(woken) = woken {
            woken.wake();
        }
        done
    }
}

/// Dropped by a panic in a turn: wakes the session's task, so that the end does not wait for another request.
struct Alarm<'b>(&'b Bridge);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        let waker = match self.0.driver.lock() {
            Ok(driver) => driver.waker.clone(),
            Err(poisoned) => poisoned.get_ref().waker.clone(),
        };
        waker.wake();
    }
}

/// The session's task. Should it end before the session, by a panic, nobody would drive the session any more.
struct TaskOf(Arc<Bridge>);

impl Drop for TaskOf {
    fn drop(&mut self) {
        self.0.turn(|driver| {
            if !driver.session.is_over() {
                driver.abandon();
            }
        });
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bridge({:?})", self.info.sid)
    }
}
