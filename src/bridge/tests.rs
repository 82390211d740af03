//! The bridge's promises: wake-ups, disconnects and ends one by one, then thousands of random ones.
//!
//! The clock is paused: it jumps to the next timer when no task can run. A lost wake-up therefore shows as time that
//! has passed, and a bridge that spins as a test that never ends.

mod actors;
mod candidates;
mod dice;
mod ends;
mod index;
mod memory;
mod queue;
mod random;
mod streams;
mod wakes;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::*;
use crate::budget::Budget;
use crate::codec::engineio;
use crate::dialect::websocket::PlainFraming;
use crate::end::End;
use crate::meter::Metrics;
use crate::packet::{Closing, Heartbeat, Message, Packet, Text};
use crate::route_id::RouteId;
use crate::session::{
    Acks, Binary, HangUp, Pinger, Policy, PollRefused, PushOutcome, Pushes, Second, Session, Settings,
    Transport,
};
use crate::sid::Sid;
use crate::tally::Tally;
use crate::upstream::LinkEvent;
use wire::{LinkWire, SocketWire, wire};

/// Returns what the index has of a relayed session.
fn relayed(budget: &Budget) -> RelayHandle {
    RelayHandle {
        framing: Arc::new(PlainFraming),
        wishes: Wishes::default(),
        route: None,
        tally: Tally::of(None),
        burden: Burden::new(budget),
    }
}

/// Returns the route of all sessions in these tests.
fn route() -> RouteId {
    RouteId::new(None, "/test/")
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Begins sessions, and shows what they leave behind.
struct Stage {
    registry: Registry,
    tracker: TaskTracker,
    metrics: Metrics,
    settings: Arc<Settings>,
    policy: Policy,
    sessions: u16,
}

impl Stage {
    fn new(hang_up: HangUp) -> Self {
        Self::with(hang_up, Settings { linger: Duration::ZERO, ..Settings::default() })
    }

    fn with(hang_up: HangUp, settings: Settings) -> Self {
        Self::of(policy(hang_up), settings)
    }

    fn of(policy: Policy, settings: Settings) -> Self {
        Self {
            registry: Registry::new(1),
            tracker: TaskTracker::new(),
            metrics: Metrics::new(),
            settings: Arc::new(settings),
            policy,
            sessions: 0,
        }
    }

    fn polling(&mut self) -> (Arc<Bridge>, LinkWire) {
        self.begin(Transport::Polling, Front::Polling)
    }

    fn web_socket(&mut self) -> (Arc<Bridge>, LinkWire, SocketWire) {
        let (client, bridge_end) = wire();
        let (bridge, link) = self.begin(Transport::WebSocket, Front::WebSocket(bridge_end));
        (bridge, link, client)
    }

    fn begin(&mut self, transport: Transport, front: Front) -> (Arc<Bridge>, LinkWire) {
        self.sessions += 1;
        let pace = Heartbeat {
            interval: self.settings.ping_interval.unwrap_or(25 * SECOND),
            timeout: self.settings.ping_timeout.unwrap_or(20 * SECOND),
        };
        let now = Instant::now().into_std();
        // A client with a cursor learns of the session by other means.
        let open = (self.policy.acks == Acks::OnWrite).then(open);
        let settings = Arc::clone(&self.settings);
        let session = Session::new(self.policy, settings, transport, pace, 10 * SECOND, open, now);
        let reservation = self.registry.reserve(&route(), sid(self.sessions)).expect("it is free");
        let info = BridgeInfo {
            sid: reservation.sid().clone(),
            transport,
            framing: Arc::new(PlainFraming),
            max_payload: 1_000_000,
            pushes: self.policy.pushes,
            headers: None,
            route: None,
            limited: crate::limited::Limited::default(),
            meter: self.metrics.route("test", "test"),
            tally: Tally::of(None),
            span: None,
            owner: None,
            tracker: self.tracker.clone(),
        };
        let (link, bridge_end) = wire();
        let admission = self.registry.admit().expect("one session at a time");
        (reservation.begin(session, info, bridge_end, front, admission), link)
    }

    /// Changes a wire's readiness for as long as the session needs it.
    fn blow<I, O>(&self, wire: &wire::TestEnd<I, O>, dice: dice::Dice)
    where
        I: Send + 'static,
        O: Send + 'static,
    {
        let wire = wire.clone();
        self.tracker.spawn(async move { wire.blow(dice).await });
    }

    /// Waits until nothing is left of the session, at most for `patience`.
    async fn clear(&self, bridge: &Bridge, patience: Duration) {
        self.tracker.close();
        let ended = tokio::time::timeout(patience, self.tracker.wait()).await;
        assert!(ended.is_ok(), "a task was left behind by {bridge:?}");
        assert!(self.registry.is_empty(), "a place was not given back");
        assert_eq!(self.registry.budget().used(), 0, "something is still counted");
        assert!(
            matches!(self.registry.find(&route(), bridge.info().sid.as_str()), Located::Nowhere),
            "it can still be found"
        );
        let rendered = self.metrics.render();
        for gauge in ["polliwog_polls_parked{", "polliwog_sessions{"] {
            for line in rendered.lines().filter(|line| line.starts_with(gauge)) {
                assert!(line.ends_with(" 0"), "{line}");
            }
        }
    }
}

/// Returns the id of a stage's session with this number.
fn sid(number: u16) -> Sid {
    let [high, low] = number.to_be_bytes();
    let mut random = [high; 15];
    random[14] = low;
    Sid::from_random(random, None)
}

/// The policy of the dialect `engine.io`.
fn policy(hang_up: HangUp) -> Policy {
    Policy {
        hang_up,
        second: Second::Ends,
        acks: Acks::OnWrite,
        pushes: Pushes::One,
        pinger: Pinger::Server,
        crossing: MS,
        echoes: Duration::ZERO,
        piggyback: None,
        goodbye_waiting: &[Packet::Close(None)],
        goodbye_late: &[Packet::Noop, Packet::Close(None)],
        why: None,
        remembered: Duration::ZERO,
        binary: Binary::Crosses,
        replaced: &[],
        encoded_len: engineio::encoded_len,
    }
}

fn open() -> Packet {
    Packet::Open("{}".into())
}

fn message(text: &str) -> Packet {
    Packet::Message(Message::text(text))
}

fn says(text: &str) -> LinkEvent {
    LinkEvent::Message(Message::text(text))
}

/// Polls, reports the response as written, and returns its packets.
async fn fetch(bridge: &Arc<Bridge>) -> Vec<Packet> {
    let delivery = bridge.poll().unwrap().await.unwrap();
    let packets = delivery.packets().to_vec();
    delivery.settle();
    packets
}

/// Sends a complete POST.
async fn post(bridge: &Arc<Bridge>, packets: Vec<Packet>) -> PushOutcome {
    bridge.push().unwrap().send(Box::new(packets.into_iter().map(Ok)), 0).await
}

/// Lets time pass without serving any timer.
async fn late(time: Duration) {
    let mut passes = std::pin::pin!(tokio::time::advance(time));
    std::future::poll_fn(|cx| {
        // The clock moves when the future is first polled.
        let _ = passes.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
}
