//! The handle of a live session: what a request can do with it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::admission::Membership;
use super::clock::clock_now;
use super::closing_line::log_end;
use super::driver::{Driver, Pipe};
use super::info::BridgeInfo;
use super::socket::ClientSocket;
use crate::budget::Holding;
use crate::end::End;
use crate::meter::UpgradeOutcome;
use crate::session::{Ending, PollRefused, ProbeRefused, Session, Transport};
use crate::tally::Moved;
use crate::upstream::Link;

/// A live session, shared by the index, the requests that concern it, and its task.
pub struct Bridge {
    driver: Mutex<Driver>,
    info: Arc<BridgeInfo>,
}

/// The transport on which the client connected.
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
    /// Joins a session and its link. Nothing happens before [`start`](Self::start).
    pub(super) fn new(
        session: Session,
        info: BridgeInfo,
        mut link: Box<dyn Link>,
        front: Front,
        entry: Box<dyn Membership>,
        holding: Holding,
    ) -> Arc<Self> {
        let info = Arc::new(info);
        let socket = match front {
            Front::Polling => None,
            Front::WebSocket(socket) => Some(socket),
        };
        link.set_stall_timeout(session.stall_timeout());
        info.meter.session_opened(info.transport);
        tracing::debug!(parent: info.span_id(), transport = info.transport.word(), "session began");
        let driver = Driver::new(session, Arc::clone(&info), link, socket, entry, holding);
        Arc::new(Self { driver: Mutex::new(driver), info })
    }

    /// Starts the session's task.
    pub(super) fn start(self: &Arc<Self>) {
        let task = TaskOf(Arc::clone(self));
        self.info.tracker.spawn(std::future::poll_fn(move |cx| task.0.turn(|driver| driver.poll_task(cx))));
    }

    /// Returns the session's constant properties.
    pub fn info(&self) -> &BridgeInfo {
        &self.info
    }

    /// Returns the session's constant properties, for a caller that may outlive the bridge.
    pub fn info_shared(&self) -> Arc<BridgeInfo> {
        Arc::clone(&self.info)
    }

    /// Returns the client's current transport.
    pub fn transport(&self) -> Transport {
        self.turn(|driver| driver.session.transport())
    }

    /// Returns the client's current transport, whether it is moving to another, and what waits for it.
    pub(super) fn look(&self) -> (Transport, bool, Moved) {
        let (transport, is_upgrading, waiting) = self.turn(|driver| {
            let session = &driver.session;
            (session.transport(), session.is_upgrading(), session.waiting())
        });
        let (messages, bytes) = waiting;
        let waiting = Moved { messages: messages as u64, bytes: bytes as u64 };
        // A session reports polling for a streaming client too.
        let transport = if transport == Transport::Polling { self.info.transport } else { transport };
        (transport, is_upgrading, waiting)
    }

    /// Offers a WebSocket as a candidate for an upgrade.
    ///
    /// # Errors
    /// Returns the socket if it is refused; the caller closes it without a code.
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

    /// Returns whether the client of the parked receiver is connected to another node.
    pub fn is_received_by_peer(&self) -> bool {
        self.turn(|driver| driver.session.is_received_by_peer())
    }

    /// Returns how the session ended, once it has.
    pub fn ending(&self) -> Option<Ending> {
        self.turn(|driver| driver.session.ending())
    }

    /// Ends the session at its client's request.
    ///
    /// # Errors
    /// Returns an error if the session had already ended.
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

    /// Ends the session for a reason that comes from neither side.
    pub fn end(&self, end: End) {
        self.turn(|driver| {
            driver.session.handle_ended(end, clock_now());
            driver.drive_inline();
        });
    }

    /// Returns whether its client has not come back since its handshake.
    pub(super) fn awaits_return(&self) -> bool {
        self.turn(|driver| driver.session.awaits_return())
    }

    /// Ends the session if its client has not come back since its handshake. Returns whether it has ended.
    pub(super) fn end_forsaken(&self) -> bool {
        self.turn(|driver| {
            let is_forsaken = driver.session.handle_forsaken(clock_now());
            driver.drive_inline();
            is_forsaken
        })
    }

    /// Lets a WebSocket go whose way ends. The client of a session that has moved to it receives what is left within
    /// `patience`, and begins another; any other session goes on without the candidate.
    pub fn release_socket(&self, patience: Duration) {
        self.turn(|driver| {
            if driver.session.transport() == Transport::WebSocket {
                driver.session.handle_drain(patience, clock_now());
            } else {
                driver.session.handle_probe_gone();
            }
            driver.drive_inline();
        });
    }

    /// Drains the session: its client receives what is left within `patience`, then the session closes.
    pub fn drain(&self, patience: Duration) {
        self.turn(|driver| {
            driver.session.handle_drain(patience, clock_now());
            driver.drive_inline();
        });
    }

    /// Logs how the session ended, now that all that was accepted from its client is with its backend.
    fn log_end(&self) {
        let ended =
            self.turn(|driver| driver.ended.filter(|_| !std::mem::replace(&mut driver.is_logged, true)));
        if let Some((transport, end)) = ended {
            let BridgeInfo { route, sid, tally, .. } = &*self.info;
            log_end(self.info.span_id(), (route.as_deref(), sid), tally, transport, end);
        }
    }

    /// Logs the end of a session that is cut off with its process.
    pub(super) fn log_cut(&self) {
        self.turn(|driver| {
            driver.ended.get_or_insert((driver.session.transport(), End::Cut));
        });
        self.log_end();
    }

    /// Locks the driver for one turn, which must not block.
    ///
    /// A panic in a turn leaves the driver in an unknown state, so the next turn first ends the session.
    pub(super) fn turn<T>(&self, act: impl FnOnce(&mut Driver) -> T) -> T {
        let wake_on_panic = WakeOnPanic(self);
        let mut driver = self.driver.lock().unwrap_or_else(|poisoned| {
            self.driver.clear_poison();
            let mut driver = poisoned.into_inner();
            driver.abandon();
            driver
        });
        let done = act(&mut driver);
        let woken = driver.polls.woken.take();
        drop(driver);
        std::mem::forget(wake_on_panic);
        // If it were woken earlier, on another thread, the poll would only wait for the lock.
        if let Some(woken) = woken {
            woken.wake();
        }
        done
    }
}

/// Wakes the session's task if a turn panics, so that the session ends without waiting for another request.
struct WakeOnPanic<'b>(&'b Bridge);

impl Drop for WakeOnPanic<'_> {
    fn drop(&mut self) {
        let waker = match self.0.driver.lock() {
            Ok(driver) => driver.waker.clone(),
            Err(poisoned) => poisoned.get_ref().waker.clone(),
        };
        waker.wake();
    }
}

/// The session's task. If it ends before the session, by a panic, nothing would drive the session any more.
struct TaskOf(Arc<Bridge>);

impl Drop for TaskOf {
    fn drop(&mut self) {
        self.0.turn(|driver| {
            if !driver.session.is_over() {
                driver.abandon();
            }
        });
        self.0.log_end();
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bridge({:?})", self.info.sid)
    }
}

/// With its counters, a session fits a size class of the allocator. The next one takes 128 bytes more of each.
const _: () = assert!(size_of::<Bridge>() + size_of::<[usize; 2]>() <= 896, "a waiting session is small");
