//! Maintains one shared connection: connects, reconnects, and resumes after a break.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::backoff::{BACKOFF_MIN, Backoff};
use super::epoch::fresh;
use super::reach::Reach;
use crate::address::RemoteAddress;
use crate::background::Background;
use crate::budget::Budget;
use crate::duplex::{Buffers, WebSocket};
use crate::mux::{Id, Open, Profile};
use crate::packet::{Closing, Transport};
use crate::spelling::Spelling;
use crate::throttle::Throttle;
use crate::trunk::{Answering, Ended, Pump, Trunk, frame_max};
use crate::upstream::address::{Endpoint, Joined};
use crate::upstream::deadline::Deadline;
use crate::upstream::dial::Dialer;
use crate::upstream::handshake::{First, Terms};
use crate::upstream::{Health, Host, OpenError, OpenRequest, Settings};

/// One of an upstream's shared connections.
#[derive(Debug)]
pub(super) struct Slot {
    dialer: Arc<Dialer>,
    settings: Settings,
    /// The epoch in which new sessions begin.
    trunk: Mutex<Arc<Trunk>>,
    /// The address that its connection leads to, on which new sessions begin.
    joined: Mutex<Option<Joined>>,
    reach: Reach,
    /// The log lines about protocol violations.
    violations: Throttle,
    /// Notified when a session is wanted.
    asked: Notify,
    background: Background,
    budget: Budget,
}

impl Slot {
    /// Starts to connect.
    pub(super) fn start(
        dialer: &Arc<Dialer>,
        settings: &Settings,
        background: &Background,
        budget: &Budget,
    ) -> Arc<Self> {
        let slot = Arc::new(Self {
            dialer: Arc::clone(dialer),
            settings: settings.clone(),
            trunk: Mutex::new(Arc::new(fresh(settings, budget))),
            joined: Mutex::default(),
            reach: Reach::default(),
            violations: Throttle::default(),
            asked: Notify::new(),
            background: background.clone(),
            budget: budget.clone(),
        });
        slot.keep(slot.trunk());
        slot
    }

    /// Returns the epoch in which new sessions begin.
    pub(super) fn trunk(&self) -> Arc<Trunk> {
        Arc::clone(&self.trunk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the address on whose connection new sessions begin, if there is one.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        self.joined().as_ref().map(Joined::endpoint)
    }

    fn joined(&self) -> MutexGuard<'_, Option<Joined>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the backend can't be reached.
    pub(super) fn is_down(&self) -> bool {
        self.health() == Health::Down
    }

    /// Returns the result of the last attempt to connect.
    pub(super) fn health(&self) -> Health {
        self.reach.health()
    }

    /// Ready once an attempt to connect has ended.
    pub(super) async fn known(&self) {
        self.reach.wait_for(|health| *health != Health::Unknown).await;
    }

    /// Ready once it is known where new sessions begin, or that there is no connection.
    pub(super) async fn is_joined(&self) {
        self.retry_soon();
        let is_known = |health: &Health| *health == Health::Down || self.endpoint().is_some();
        self.reach.wait_for(is_known).await;
    }

    /// Ready once there is a connection.
    pub(super) async fn is_up(&self) {
        self.retry_soon();
        self.reach.wait_for(|health| *health == Health::Up).await;
    }

    /// Reports that a session is wanted: without a connection, the next attempt is made soon.
    pub(super) fn retry_soon(&self) {
        self.asked.notify_one();
    }

    /// Returns why a session could not be opened.
    pub(super) fn unreached(&self) -> OpenError {
        self.reach.fault(self.settings.handshake_timeout)
    }

    /// Asks the backend for a session, in the epoch in which new ones begin; `None` if there is no other.
    pub(super) fn ask(self: &Arc<Self>, question: &Open) -> Option<(Arc<Trunk>, Id, Answering)> {
        loop {
            let trunk = self.trunk();
            if let Some((id, answering)) = trunk.open(question.clone()) {
                return Some((trunk, id, answering));
            }
            // Its keeper may not know of that yet.
            if trunk.is_draining() {
                self.retire(&trunk);
            } else if Arc::ptr_eq(&trunk, &self.trunk()) {
                return None;
            }
        }
    }

    /// Has new sessions begin in another epoch, if they still begin in this one.
    fn retire(self: &Arc<Self>, trunk: &Arc<Trunk>) {
        if let Some(renewed) = self.renew(trunk) {
            self.keep(renewed);
        }
    }

    /// Starts another epoch for new sessions; `None` if one was started already.
    fn renew(&self, old: &Arc<Trunk>) -> Option<Arc<Trunk>> {
        let mut trunk = self.trunk.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&trunk, old) {
            return None;
        }
        old.retire();
        // What it leads to is known once it is connected.
        let joined = self.joined().take();
        *trunk = Arc::new(fresh(&self.settings, &self.budget));
        let renewed = Arc::clone(&trunk);
        drop(trunk);
        if let Some(joined) = joined {
            self.note_drain(old, joined.endpoint());
        }
        Some(renewed)
    }

    /// Passes on that the address of a trunk stops, if it has said so.
    fn note_drain(&self, trunk: &Trunk, endpoint: Endpoint) {
        if let Some(patience) = trunk.stops_within() {
            self.dialer.note_stopping(endpoint, patience);
        }
    }

    fn keep(self: &Arc<Self>, trunk: Arc<Trunk>) {
        let slot = Arc::clone(self);
        self.background
            .spawn_vital("the keeper of a shared connection", async move { slot.run(trunk).await });
    }

    /// Connects for one epoch, and then for the next.
    async fn run(self: Arc<Self>, mut trunk: Arc<Trunk>) {
        let mut backoff = Backoff::default();
        // Since when sessions have waited for another connection.
        let mut broken_at = None;
        let mut pause = Duration::ZERO;
        loop {
            // Sessions wait for a reconnect no longer than promised.
            let patience = broken_at.map_or(Duration::MAX, |at| self.resume_left(at));
            let attempt = Box::pin(timeout(patience, self.dial_after(pause)));
            let Some(dialled) = self.background.stop.run_until_cancelled(attempt).await else {
                return trunk.fail(&STOPPED);
            };
            let mut end = None;
            match dialled {
                Ok(Ok((socket, profile, endpoint))) => {
                    let connection = trunk.connect();
                    let pump = Pump::new(&trunk, connection, socket, profile);
                    let after = self.serve(&trunk, pump, endpoint).await;
                    trunk.disconnect(connection);
                    if Arc::ptr_eq(&trunk, &self.trunk()) {
                        drop(self.joined().take());
                        self.note_drain(&trunk, endpoint);
                    }
                    if trunk.is_greeted() {
                        broken_at = None;
                    }
                    broken_at.get_or_insert_with(Instant::now);
                    match after {
                        After::Over => return trunk.fail(&STOPPED),
                        After::Violated => end = Some(NONSENSE),
                        After::Broken if trunk.is_greeted() => backoff = Backoff::default(),
                        After::Broken => {}
                    }
                }
                Ok(Err(error)) => {
                    self.reach.note_down(&self.dialer, &error);
                    trunk.fail_unwritten(&UNREACHED);
                }
                Err(_) => trunk.fail_unwritten(&UNREACHED),
            }
            if broken_at.is_some_and(|at| !trunk.resumes() || self.resume_left(at).is_zero()) {
                end.get_or_insert(LOST);
            }
            // A drain may be the last frame received.
            if trunk.is_draining() && trunk.is_idle() {
                end.get_or_insert(STOPPED);
            }
            if let Some(end) = end {
                let renewed = self.renew(&trunk);
                trunk.fail(&end);
                broken_at = None;
                match renewed {
                    Some(renewed) => trunk = renewed,
                    None => return,
                }
            }
            pause = backoff.next();
        }
    }

    /// Returns how much longer sessions wait for another connection.
    fn resume_left(&self, broken_at: Instant) -> Duration {
        self.settings.mux.resume_timeout.saturating_sub(broken_at.elapsed())
    }

    /// Connects after a pause, which is shorter if a session is wanted.
    async fn dial_after(&self, pause: Duration) -> Result<(WebSocket, Profile, Endpoint), OpenError> {
        let hurried = async {
            sleep(BACKOFF_MIN).await;
            self.asked.notified().await;
        };
        let _ = timeout(pause, hurried).await;
        self.dial().await
    }

    async fn serve(self: &Arc<Self>, trunk: &Arc<Trunk>, mut pump: Pump<'_>, endpoint: Endpoint) -> After {
        let greeted = timeout(self.settings.handshake_timeout, wait(trunk, Trunk::is_greeted));
        tokio::select! {
            ended = pump.run() => {
                if !trunk.is_greeted() {
                    self.reach.note_down(&self.dialer, &OpenError::Protocol("it ended without a hello".to_owned()));
                }
                return self.after(ended, pump);
            }
            greeted = greeted => if greeted.is_err() {
                self.background.tracker.spawn(pump.close(1002, "no hello"));
                self.reach.note_down(&self.dialer, &OpenError::Slow(self.settings.handshake_timeout));
                return After::Broken;
            },
        }
        if Arc::ptr_eq(trunk, &self.trunk()) {
            *self.joined() = Some(self.dialer.join(endpoint));
        }
        self.reach.note_up(&self.dialer);
        let retired = async {
            tokio::select! {
                () = wait(trunk, Trunk::is_draining) => {}
                () = self.dialer.lost(endpoint) => {}
            }
            self.retire(trunk);
            wait(trunk, Trunk::is_idle).await;
        };
        tokio::select! {
            ended = pump.run() => return self.after(ended, pump),
            () = retired => {}
            () = self.background.stop.cancelled() => {}
        }
        self.finish(trunk, pump).await;
        After::Over
    }

    /// Returns what to do next; does not wait until the backend knows.
    fn after(&self, ended: Ended, pump: Pump<'_>) -> After {
        match ended {
            Ended::Broken => After::Broken,
            Ended::Violated(reason) => {
                if let Some(count) = self.violations.count() {
                    tracing::warn!(upstream = %self.dialer, reason, count, "a multiplexed connection violated the protocol");
                }
                self.background.tracker.spawn(pump.close(1002, reason));
                After::Violated
            }
        }
    }

    /// Sends every session's close, and then the connection's own.
    async fn finish(&self, trunk: &Trunk, mut pump: Pump<'_>) {
        let settled = async {
            while !trunk.is_settled() {
                sleep(SETTLE_PACE).await;
            }
        };
        tokio::select! {
            ended = pump.run() => {
                self.after(ended, pump);
                return;
            }
            _ = timeout(SETTLE_TIMEOUT, settled) => {}
        }
        pump.close(1001, "going away").await;
    }

    async fn dial(&self) -> Result<(WebSocket, Profile, Endpoint), OpenError> {
        let offer = Profile::ALL.iter().map(|profile| profile.subprotocol()).collect::<Vec<_>>().join(", ");
        let mut headers = HeaderMap::new();
        if let Ok(offer) = HeaderValue::from_str(&offer) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
        }
        if let Some(token) = &self.settings.mux.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let request = OpenRequest {
            prefix: String::new(),
            path: String::new(),
            query: String::new(),
            headers,
            client: RemoteAddress::Unix,
            dialect: "mux",
            transport: Transport::WebSocket,
            revision: None,
            spelling: Spelling::default(),
        };
        let terms = Terms {
            host: Host::Upstream,
            query: "",
            message_max: frame_max(self.settings.max_message),
            buffers: Buffers::Large,
            // Its messages are short, and many of them leave at once.
            deflate: None,
            first: First::Anybody,
        };
        let deadline = Deadline::after(self.settings.handshake_timeout);
        let (accepted, endpoint) = self.dialer.open(request, &terms, deadline).await?;
        let profile =
            accepted.subprotocol.as_ref().and_then(|name| name.to_str().ok()).and_then(Profile::named);
        let profile = profile
            .ok_or_else(|| OpenError::Protocol("it chose no subprotocol of polliwog.mux.v1".to_owned()))?;
        Ok((accepted.socket.into_inner(), profile, endpoint))
    }
}

/// What to do after the end of a connection.
enum After {
    Broken,
    Violated,
    Over,
}

/// Waits until a condition holds; it is checked again at each notification of the trunk.
async fn wait(trunk: &Trunk, is_so: fn(&Trunk) -> bool) {
    loop {
        let news = trunk.news.notified();
        if is_so(trunk) {
            return;
        }
        news.await;
    }
}

const SETTLE_TIMEOUT: Duration = Duration::from_millis(500);
const SETTLE_PACE: Duration = Duration::from_millis(5);
/// Of sessions whose connection broke, and can't be resumed.
pub(super) const LOST: Closing = Closing::new(1006, "upstream connection lost");
/// Of sessions for which the backend was not asked.
const UNREACHED: Closing = Closing::new(1006, "upstream unreachable");
const NONSENSE: Closing = Closing::new(1002, "upstream protocol error");
const STOPPED: Closing = Closing::new(1001, "going away");
