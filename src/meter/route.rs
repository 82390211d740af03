//! What a route counts: a [`Meter`] looks up its counters once, and each is stored at the index of its word.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};

use super::admission::{AuthOutcome, TokenOutcome};
use super::family::{Family, Labels};
use super::sizes::{Sizes, Waits};
use super::table::{Group as _, Routes};
use super::tail::{Tail, event};
use super::words::{Broken, CloseReason, Direction, Op, Outcome, Status, Transport, UpgradeOutcome};

/// Counts for one route.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Counters>);

/// The meters in use. A route's series end with its last meter, which a session may hold after its route has left the
/// configuration.
#[derive(Clone, Default, Debug)]
pub(super) struct Meters {
    all: Arc<Mutex<BTreeMap<Labels, Weak<Counters>>>>,
    tail: Tail,
}

impl Meters {
    /// Returns the meter with these labels, new or not.
    pub(super) fn meter(&self, families: &Routes, labels: Labels) -> Meter {
        let mut all = self.lock();
        if let Some(counters) = all.get(&labels).and_then(Weak::upgrade) {
            return Meter(counters);
        }
        let counters = Arc::new(Counters::new(families, labels.clone(), self.clone()));
        all.insert(labels, Arc::downgrade(&counters));
        Meter(counters)
    }

    /// Returns what is told of sessions as they begin and end.
    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Returns those that have counted something, of which some may be gone.
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Labels, Weak<Counters>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        let mut all = self.meters.lock();
        // Another may have been made since the last handle of this one went: the series are its own now.
        if all.get(&self.labels).is_some_and(|weak| std::ptr::eq(weak.as_ptr(), self)) {
            all.remove(&self.labels);
            self.families.forget(&self.labels);
        }
    }
}

impl Meter {
    /// Counts a handshake by its outcome.
    pub fn handshake(&self, outcome: Outcome) {
        self.0.handshakes[outcome as usize].inc();
        if outcome != Outcome::Accepted {
            self.tell("refused", || json!({ "reason": outcome.word() }));
        }
    }

    /// Counts what was said of a client.
    pub fn authorized(&self, outcome: AuthOutcome) {
        self.0.authorized[outcome as usize].inc();
    }

    /// Counts what became of a client's token.
    pub fn token(&self, outcome: TokenOutcome) {
        self.0.tokens[outcome as usize].inc();
    }

    /// Counts a session that was opened.
    pub fn session_opened(&self, transport: Transport) {
        self.0.opened[transport as usize].inc();
        self.0.sessions[transport as usize].inc();
        self.tell("began", || json!({ "transport": transport.word() }));
    }

    /// Moves an open session from polling to WebSocket.
    pub fn session_moved(&self) {
        self.0.sessions[Transport::Polling as usize].dec();
        self.0.sessions[Transport::WebSocket as usize].inc();
        self.tell("upgraded", || json!({}));
    }

    /// Counts a session that was closed, by its last transport. It was so old.
    pub fn session_closed(&self, transport: Transport, reason: CloseReason, age: Duration) {
        self.0.sessions[transport as usize].dec();
        self.0.closed[transport as usize][reason as usize].inc();
        let about = || json!({ "transport": transport.word(), "reason": reason.word(), "age_seconds": age.as_secs_f64() });
        self.tell("ended", about);
    }

    /// Tells what has happened to a session of the route, if somebody watches.
    fn tell(&self, what: &str, about: impl FnOnce() -> Value) {
        self.0.meters.tail.tell(|| {
            let mut line = about();
            line["what"] = what.into();
            line["route"] = self.0.labels.first().map_or("", |(_, route)| &**route).into();
            event("session", &line)
        });
    }

    /// Counts a stage of an upgrade from polling to WebSocket.
    pub fn upgrade(&self, outcome: UpgradeOutcome) {
        self.0.upgrades[outcome as usize].inc();
    }

    /// Counts a request and the status of its response.
    pub fn request(&self, op: Op, status: u16) {
        self.0.request(op, Status::of(status)).inc();
    }

    /// Counts a forwarded response or a tunnel that ended early.
    pub fn forward_broke(&self, reason: Broken) {
        self.0.broken[reason as usize].inc();
    }

    /// Counts messages from the client, with the size of their payload.
    #[expect(clippy::wrong_self_convention, reason = "a direction, as to_client is")]
    pub fn from_client(&self, transport: Transport, messages: u64, bytes: u64) {
        self.0.moved(Direction::FromClient, transport, messages, bytes);
    }

    /// Counts messages to the client, with the size of their payload.
    pub fn to_client(&self, transport: Transport, messages: u64, bytes: u64) {
        self.0.moved(Direction::ToClient, transport, messages, bytes);
    }

    /// Counts the bytes of bodies and frames beyond their payload.
    pub fn overhead(&self, direction: Direction, transport: Transport, bytes: u64) {
        self.0.overhead[direction as usize][transport as usize].inc_by(bytes);
    }

    /// Counts the overhead of a WebSocket frame: its header, and those of its `len` bytes that are not `payload`.
    pub fn frame(&self, direction: Direction, header: usize, len: usize, payload: usize) {
        self.overhead(direction, Transport::WebSocket, (header + len.saturating_sub(payload)) as u64);
    }

    /// Counts the header bytes of a request or a response.
    pub fn head(&self, direction: Direction, transport: Transport, bytes: usize) {
        self.0.heads[direction as usize][transport as usize].inc_by(bytes as u64);
    }

    /// Counts the bytes that compression saved in the response to a poll, or on a WebSocket.
    pub fn compressed(&self, saved: usize) {
        self.0.saved.inc_by(saved as u64);
    }

    /// Records the time from the arrival of a message, or of the oldest in a batch, until it is handed to the client's
    /// connection.
    pub fn delivered_after(&self, transport: Transport, wait: Duration) {
        self.0.waits[transport as usize].observe(wait);
    }

    /// Counts a poll that was parked.
    pub fn poll_parked(&self) {
        self.0.polls_parked.inc();
    }

    /// Counts a parked poll that got its response or disconnected.
    pub fn poll_released(&self) {
        self.0.polls_parked.dec();
    }

    /// Records the number of packets and of encoded bytes in the response to a poll.
    pub fn batch(&self, packets: usize, bytes: usize) {
        self.0.batch_packets.observe(packets);
        self.0.batch_bytes.observe(bytes);
    }
}

/// A counter for each direction of each transport.
pub(super) type PerTransport = [[Counter; Transport::ALL.len()]; Direction::ALL.len()];

/// A route's counters, each at the index of its word.
#[derive(Debug)]
pub(super) struct Counters {
    meters: Meters,
    pub(super) labels: Labels,
    families: Routes,
    pub(super) handshakes: [Counter; Outcome::ALL.len()],
    authorized: [Counter; AuthOutcome::ALL.len()],
    tokens: [Counter; TokenOutcome::ALL.len()],
    pub(super) sessions: [Gauge; Transport::ALL.len()],
    pub(super) opened: [Counter; Transport::ALL.len()],
    pub(super) closed: [[Counter; CloseReason::ALL.len()]; Transport::ALL.len()],
    pub(super) upgrades: [Counter; UpgradeOutcome::ALL.len()],
    /// Created on first use, since most pairs of an operation and a status never occur.
    requests: [[OnceLock<Counter>; Status::COUNT]; Op::ALL.len()],
    broken: [Counter; Broken::ALL.len()],
    pub(super) messages: PerTransport,
    pub(super) message_bytes: PerTransport,
    pub(super) overhead: PerTransport,
    pub(super) heads: PerTransport,
    saved: Counter,
    pub(super) waits: [Waits; Transport::ALL.len()],
    pub(super) polls_parked: Gauge,
    batch_packets: Sizes,
    batch_bytes: Sizes,
}

impl Counters {
    fn new(families: &Routes, labels: Labels, meters: Meters) -> Self {
        use std::array::from_fn;
        let with = |more: &[(&'static str, &'static str)]| with(&labels, more);
        let transport = |index: usize| ("transport", Transport::ALL[index].word());
        let direction = |index: usize| ("direction", Direction::ALL[index].word());
        let per_transport = |family: &Family<Counter>| -> PerTransport {
            from_fn(|i| from_fn(|j| family.series(with(&[direction(i), transport(j)]))))
        };
        Self {
            meters,
            families: families.clone(),
            handshakes: from_fn(|i| families.handshakes.series(with(&[("outcome", Outcome::ALL[i].word())]))),
            authorized: from_fn(|i| {
                families.authorized.series(with(&[("outcome", AuthOutcome::ALL[i].word())]))
            }),
            tokens: from_fn(|i| families.tokens.series(with(&[("outcome", TokenOutcome::ALL[i].word())]))),
            sessions: from_fn(|i| families.sessions.series(with(&[transport(i)]))),
            opened: from_fn(|i| families.opened.series(with(&[transport(i)]))),
            closed: from_fn(|i| {
                from_fn(|j| {
                    families.closed.series(with(&[transport(i), ("reason", CloseReason::ALL[j].word())]))
                })
            }),
            upgrades: from_fn(|i| {
                families.upgrades.series(with(&[("outcome", UpgradeOutcome::ALL[i].word())]))
            }),
            requests: from_fn(|_| from_fn(|_| OnceLock::new())),
            broken: from_fn(|i| families.broken.series(with(&[("reason", Broken::ALL[i].word())]))),
            messages: per_transport(&families.messages),
            message_bytes: per_transport(&families.message_bytes),
            overhead: per_transport(&families.overhead),
            heads: per_transport(&families.heads),
            saved: families.saved.series(with(&[])),
            waits: from_fn(|i| families.waits.series(with(&[transport(i)]))),
            polls_parked: families.polls_parked.series(with(&[])),
            batch_packets: families.batch_packets.series(with(&[])),
            batch_bytes: families.batch_bytes.series(with(&[])),
            labels,
        }
    }

    fn request(&self, op: Op, status: Status) -> &Counter {
        self.requests[op as usize][status.index()].get_or_init(|| {
            let transport = op.transport().map_or("none", Transport::word);
            let words = [("op", op.word()), ("transport", transport), ("status", status.word())];
            self.families.requests.series(with(&self.labels, &words))
        })
    }

    fn moved(&self, direction: Direction, transport: Transport, messages: u64, bytes: u64) {
        self.messages[direction as usize][transport as usize].inc_by(messages);
        self.message_bytes[direction as usize][transport as usize].inc_by(bytes);
    }
}

fn with(labels: &Labels, more: &[(&'static str, &'static str)]) -> Labels {
    labels.iter().cloned().chain(more.iter().map(|(name, word)| (*name, Cow::Borrowed(*word)))).collect()
}
