//! The handle of a living session: what a request can do with it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::delivery::Delivery;
use super::driver::{Driver, Pipe, clock_now};
use super::registry::{Admission, Entry, Registry};
use super::socket::ClientSocket;
use crate::end::End;
use crate::framing::Framing;
use crate::meter::{Meter, UpgradeOutcome};
use crate::packet::{Closing, Packet};
use crate::session::{Packets, PollRefused, ProbeRefused, PushOutcome, PushRefused, Session, Transport};
use crate::sid::Sid;
use crate::upstream::Link;

/// One living session. Shared by the index, by the requests that concern it, and by its task.
pub struct Bridge {
    driver: Mutex<Driver>,
    info: Arc<BridgeInfo>,
}

/// What does not change while a session lives.
#[derive(Debug)]
pub struct BridgeInfo {
    /// Its id.
    pub sid: Sid,
    /// How its packets are written.
    pub framing: Framing,
    /// The largest POST body and WebSocket message that its client may send, in bytes.
    pub max_payload: usize,
    /// What each answer to its polls carries beside its own headers, if anything: CORS as its backend said it, and a cookie.
    pub headers: Option<Box<http::HeaderMap>>,
    /// Which route it came by: a request by another route does not find it.
    pub route: usize,
    /// Where its route counts.
    pub meter: Meter,
    /// What its log lines stand under.
    pub span: tracing::Span,
    /// The index that holds it.
    pub registry: Registry,
    /// The tracker of its tasks.
    pub tracker: TaskTracker,
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
    /// Joins a session and its link, and enters it in the index.
    pub fn start(
        session: Session,
        info: BridgeInfo,
        link: Box<dyn Link>,
        front: Front,
        admission: Admission,
    ) -> Arc<Self> {
        let info = Arc::new(info);
        let socket = match front {
            Front::Polling => None,
            Front::WebSocket(socket) => Some(socket),
        };
        info.meter.session_opened(session.transport());
        tracing::debug!(parent: &info.span, transport = session.transport().word(), "session began");
        let bridge = Arc::new_cyclic(|bridge| Self {
            driver: Mutex::new(Driver::new(
                session,
                Arc::clone(&info),
                bridge.clone(),
                link,
                socket,
                admission,
            )),
            info: Arc::clone(&info),
        });
        info.registry.insert(info.sid.clone(), Entry::Bridge(Arc::clone(&bridge)));
        let task = TaskOf(Arc::clone(&bridge));
        info.tracker.spawn(std::future::poll_fn(move |cx| task.0.lock().poll_task(cx)));
        bridge
    }

    /// What does not change.
    pub fn info(&self) -> &BridgeInfo {
        &self.info
    }

    /// The same, for those who outlive the bridge.
    pub fn info_shared(&self) -> Arc<BridgeInfo> {
        Arc::clone(&self.info)
    }

    /// The transport that the client is on now.
    pub fn transport(&self) -> Transport {
        self.lock().session.transport()
    }

    /// Parks a poll.
    ///
    /// # Errors
    /// The poll is refused; after an overlap the session is over.
    pub fn poll(self: &Arc<Self>) -> Result<ParkedPoll, PollRefused> {
        let (sender, receiver) = oneshot::channel();
        let now = clock_now();
        let mut driver = self.lock();
        driver.catch_up(now);
        if driver.session.reads_probe_first() {
            driver.drive_inline();
        }
        let parked = driver.session.handle_poll(now);
        if parked.is_ok() {
            driver.parked = Some(sender);
            self.info.meter.poll_parked();
        }
        driver.drive_inline();
        drop(driver);
        parked.map(|()| ParkedPoll { bridge: Arc::clone(self), receiver, answered: false })
    }

    /// Announces a POST whose head came in.
    ///
    /// # Errors
    /// The POST is refused; after an overlap the session is over.
    pub fn push(self: &Arc<Self>) -> Result<Push, PushRefused> {
        let (sender, outcome) = oneshot::channel();
        let now = clock_now();
        let mut driver = self.lock();
        driver.catch_up(now);
        let begun = driver.session.handle_push_begun(now);
        if begun.is_ok() {
            driver.push = Some(sender);
        } else {
            driver.drive_inline();
        }
        drop(driver);
        begun.map(|()| Push { bridge: Arc::clone(self), outcome, settled: false })
    }

    /// Offers a WebSocket as a candidate for an upgrade.
    ///
    /// # Errors
    /// It is given back, to be closed without a code.
    pub fn probe(&self, socket: Box<dyn ClientSocket>) -> Result<(), Box<dyn ClientSocket>> {
        self.info.meter.upgrade(UpgradeOutcome::Tried);
        let now = clock_now();
        let mut driver = self.lock();
        driver.catch_up(now);
        if let Err(ProbeRefused) = driver.session.handle_probe_opened(now) {
            driver.drive_inline();
            drop(driver);
            self.info.meter.upgrade(UpgradeOutcome::Failed);
            return Err(socket);
        }
        driver.probe = Some(socket);
        driver.probe_state = Pipe::Clean;
        driver.drive_inline();
        Ok(())
    }

    /// Ends the session in good order: its client takes what is left within `patience`.
    pub fn drain(&self, patience: Duration) {
        let mut driver = self.lock();
        driver.session.handle_drain(patience, clock_now());
        driver.drive_inline();
    }

    pub(super) fn delivered(&self) {
        let mut driver = self.lock();
        driver.session.handle_delivered();
        driver.drive_inline();
    }

    pub(super) fn lost(&self, batch: Vec<Packet>) {
        let mut driver = self.lock();
        driver.session.handle_lost(batch, clock_now());
        driver.drive_inline();
    }

    fn lock(&self) -> MutexGuard<'_, Driver> {
        // Whoever panicked while driving, the session's task ends what is left.
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session's task. Should it end before the session, by a panic, nobody would drive the session any more: then
/// everything that it holds is given back.
struct TaskOf(Arc<Bridge>);

impl Drop for TaskOf {
    fn drop(&mut self) {
        self.0.lock().abandon();
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bridge({:?})", self.info.sid)
    }
}

/// A poll that waits. Dropped before its answer, it has hung up.
#[derive(Debug)]
pub struct ParkedPoll {
    bridge: Arc<Bridge>,
    receiver: oneshot::Receiver<Delivery>,
    answered: bool,
}

impl ParkedPoll {
    /// The session that it waits for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }
}

impl Future for ParkedPoll {
    /// What to write; or nothing, when the session ended without a word for this poll.
    type Output = Option<Delivery>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.receiver).poll(cx));
        self.answered = true;
        Poll::Ready(answer.ok())
    }
}

impl Drop for ParkedPoll {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut driver = self.bridge.lock();
        // Another poll may be parked by now: then this one was answered, and its delivery says that it is lost.
        self.receiver.close();
        if driver.parked.as_ref().is_some_and(oneshot::Sender::is_closed) {
            driver.parked = None;
            self.bridge.info.meter.poll_released();
            driver.session.handle_poll_gone(clock_now());
            driver.drive_inline();
        }
    }
}

/// A POST under way. Dropped before it is settled, its connection broke.
#[derive(Debug)]
pub struct Push {
    bridge: Arc<Bridge>,
    outcome: oneshot::Receiver<PushOutcome>,
    settled: bool,
}

impl Push {
    /// The session that it is for.
    pub fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Ready when the session has ended this POST while its body was still coming in.
    pub async fn interrupted(&mut self) {
        let _ = (&mut self.outcome).await;
    }

    /// Hands over the packets of a body of `len` bytes, and waits until the link has taken their messages.
    pub async fn send(mut self, packets: Packets, len: usize) -> PushOutcome {
        self.settled = true;
        {
            let mut driver = self.bridge.lock();
            driver.push_rest = len;
            driver.session.handle_push(packets, clock_now());
            driver.drive_inline();
        }
        // A session that is over has no word for it: then nobody took its messages.
        (&mut self.outcome).await.unwrap_or(PushOutcome::Refused)
    }

    /// The body is larger than `max_payload`: the session goes on without it.
    pub fn refuse_too_large(mut self) {
        self.settled = true;
        self.bridge.lock().session.handle_push_too_large();
    }

    /// The body is of a kind that the dialect does not know: the session is over.
    pub fn refuse_invalid(mut self) {
        self.settled = true;
        let mut driver = self.bridge.lock();
        driver.session.handle_push_invalid(clock_now());
        driver.drive_inline();
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        if !self.settled {
            let mut driver = self.bridge.lock();
            driver.session.handle_push_broken(clock_now());
            driver.drive_inline();
        }
    }
}

/// Closes a socket that no session took: without a code, as the reference does.
pub async fn turn_away(mut socket: Box<dyn ClientSocket>) {
    let closing = Closing::default();
    let closed = std::future::poll_fn(|cx| socket.poll_close(cx, End::ClientClosed, &closing));
    let _ = tokio::time::timeout(super::events::CLOSE_TIMEOUT, closed).await;
}
