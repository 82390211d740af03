//! The session's promises, rule by rule; `model` then runs random scripts against all of them together.

mod closing;
mod ending;
mod expiry;
mod heartbeat;
mod linger;
pub(crate) mod model;
mod pace;
mod polling;
mod pressure;
mod receivers;
mod upgrade;
mod web_socket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::codec::engineio;
use crate::packet::{Closing, Heartbeat, Message, Packet, Text};

const MS: Duration = Duration::from_millis(1);

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

fn message(text: &str) -> Packet {
    Packet::Message(Message::text(text))
}

fn messages(texts: &[&str]) -> Vec<Packet> {
    texts.iter().map(|text| message(text)).collect()
}

fn open() -> Packet {
    Packet::Open("{}".into())
}

fn ping() -> Packet {
    Packet::Ping(Text::default())
}

fn pong() -> Packet {
    Packet::Pong(Text::default())
}

/// A session together with its clock.
struct Rig {
    session: Session,
    start: Instant,
    now: Instant,
}

impl Rig {
    /// Returns a session whose polling client has fetched its open packet.
    fn polling() -> Self {
        Self::polling_with(HangUp::Ends, Settings::default())
    }

    fn polling_with(hang_up: HangUp, settings: Settings) -> Self {
        let mut rig = Self::begin(hang_up, settings, Transport::Polling);
        assert_eq!(rig.fetch(), [open()]);
        rig
    }

    /// Returns a session whose WebSocket client has received its open packet.
    fn web_socket() -> Self {
        Self::web_socket_with(Settings::default())
    }

    fn web_socket_with(settings: Settings) -> Self {
        let mut rig = Self::begin(HangUp::Ends, settings, Transport::WebSocket);
        assert_eq!(rig.written(), [open()]);
        rig
    }

    fn begin(hang_up: HangUp, settings: Settings, transport: Transport) -> Self {
        Self::begin_with(policy(hang_up), settings, transport)
    }

    fn begin_with(policy: Policy, settings: Settings, transport: Transport) -> Self {
        let start = tokio::time::Instant::now().into_std();
        let pace = Heartbeat {
            interval: settings.ping_interval.unwrap_or(Duration::from_secs(25)),
            timeout: settings.ping_timeout.unwrap_or(Duration::from_secs(20)),
        };
        let session =
            Session::new(policy, Arc::new(settings), transport, pace, KEEP_ALIVE, Some(open()), start);
        Self { session, start, now: start }
    }

    /// Returns a time in milliseconds since the session began.
    fn time(&self, ms: u32) -> Instant {
        self.start + ms * MS
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll(self.now)).collect()
    }

    /// Lets time pass as a driver does, which calls at every deadline.
    fn pass(&mut self, time: Duration) -> Vec<Event> {
        let until = self.now + time;
        let mut events = Vec::new();
        while let Some(deadline) = self.session.poll_timeout().filter(|deadline| *deadline < until) {
            assert!(deadline > self.now, "a deadline that is over would be waited for in vain");
            self.now = deadline;
            self.session.handle_timeout(self.now);
            events.append(&mut self.events());
        }
        self.now = until;
        self.session.handle_timeout(self.now);
        events.append(&mut self.events());
        events
    }

    /// Sends a poll, which is parked or answered at once.
    fn poll(&mut self) -> Vec<Event> {
        assert_eq!(self.session.handle_poll(self.now), Ok(()));
        self.events()
    }

    /// Sends a poll that is answered at once, and reports the response as written.
    fn fetch(&mut self) -> Vec<Packet> {
        let mut events = self.poll();
        self.session.handle_delivered();
        let Event::Answer(batch) = events.remove(0) else { panic!("an answer was due") };
        batch
    }

    /// Sends a complete POST.
    fn push(&mut self, packets: Vec<Packet>) -> Vec<Event> {
        self.push_raw(Box::new(packets.into_iter().map(Ok)))
    }

    fn push_raw(&mut self, packets: Packets) -> Vec<Event> {
        assert_eq!(self.session.handle_push_begun(self.now), Ok(()));
        self.session.handle_push(packets, self.now);
        self.events()
    }

    /// Sends a message from the backend.
    fn say(&mut self, text: &str) -> Vec<Event> {
        assert!(self.session.wants_upstream());
        self.session.handle_upstream(Message::text(text), self.now);
        self.events()
    }

    /// Takes everything that the link may take.
    fn taken(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.session.next_for_link(self.now)).map(Packet::Message).collect()
    }

    /// Takes everything that the client's socket may take.
    fn written(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.session.next_for_socket(self.now)).collect()
    }

    /// Connects a candidate, which probes.
    fn probe(&mut self) {
        assert_eq!(self.session.handle_probe_opened(self.now), Ok(()));
        self.session.handle_probe_packet(&Packet::Ping("probe".into()), self.now);
        assert_eq!(self.events(), [Event::Probe(Packet::Pong("probe".into()))]);
    }
}

fn answer(batch: &[Packet]) -> Event {
    Event::Answer(batch.to_vec())
}

fn closes_link(end: End) -> Event {
    Event::CloseLink(end.closing())
}

const ACCEPTED: Event = Event::PushDone(PushOutcome::Accepted);
const REFUSED: Event = Event::PushDone(PushOutcome::Refused);
const DESTROYED: Event = Event::PushDone(PushOutcome::Destroyed);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
