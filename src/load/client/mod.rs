//! One session: its transport carries what its conversation sends and receives.

mod engineio;
mod longpoll;
mod polling;
mod protocol;
mod requests;
mod run;
mod sockjs;
mod upgrade;
mod websocket;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(super) use self::protocol::Protocol;
use super::conversation::{Conversation, Received, Terms};
use super::fault::Fault;
use super::mix::Kind;
use super::net::{Connector, Head, Query};
use super::stats::{Cost, Stats};
use crate::codec::engineio::OpenPacket;
use crate::packet::{Packet, Transport};

/// What all sessions of a run share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) connector: Arc<Connector>,
    pub(super) head: Head,
    pub(super) protocol: Protocol,
    pub(super) terms: Arc<Terms>,
    pub(super) stats: Arc<Mutex<Stats>>,
    /// Cancelled when nothing more is to be sent.
    pub(super) stop: CancellationToken,
}

/// The parameters of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) kind: Kind,
    /// The source address; `None` leaves it to the system.
    pub(super) source: Option<IpAddr>,
    /// The fraction of a period that it waits before its first message.
    pub(super) share: f64,
    pub(super) begin: Instant,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    common: Arc<Common>,
    kind: Kind,
    source: Option<IpAddr>,
    conversation: Conversation,
    began: Instant,
    greeted: bool,
}

impl Session {
    /// Handles received packets in their order.
    fn handle(&mut self, packets: impl IntoIterator<Item = Result<Packet, Fault>>) -> Result<u64, Fault> {
        let now = Instant::now();
        let (mut answers, mut greeted) = (0, false);
        {
            let mut stats = lock(&self.common.stats);
            for packet in packets {
                match self.conversation.handle_packet(packet?, now)? {
                    Received::Nothing => {}
                    Received::Greeting => greeted = true,
                    Received::Answer(took, arrival) => {
                        answers += 1;
                        stats.handle_answer(self.kind, now, took, arrival);
                    }
                    Received::Unexpected => stats.handle_unexpected(self.kind),
                }
            }
        }
        if greeted {
            self.greet();
        }
        Ok(answers)
    }

    /// Handles an open transport.
    fn handle_open(&mut self, open: Option<&OpenPacket>) -> Result<(), Fault> {
        let open = open.zip(self.common.protocol.beat());
        if self.conversation.handle_open(open, Instant::now())? == Received::Greeting {
            self.greet();
        }
        Ok(())
    }

    fn greet(&mut self) {
        self.greeted = true;
        let took = self.began.elapsed();
        self.stats().handle_connect(self.kind, took);
    }

    /// Counts the cost of a request or of a turn on a WebSocket.
    fn note(&self, cost: Cost) {
        self.stats().handle_cost(self.kind, Instant::now(), self.greeted, cost);
    }

    fn stats(&self) -> MutexGuard<'_, Stats> {
        lock(&self.common.stats)
    }

    /// Asks for its WebSocket.
    fn web_socket(&self, sid: Option<&str>) -> Result<http::Request<()>, Fault> {
        let head = &self.common.head;
        Ok(match self.common.protocol {
            Protocol::EngineIo(revision) => {
                head.web_socket(Some(Query { revision, transport: Transport::WebSocket, sid, stamp: 0 }))
            }
            Protocol::SockJs => head.web_socket_at(&format!("{}/websocket", sockjs::place()?)),
            Protocol::Plain | Protocol::LongPoll => head.web_socket(None),
        })
    }

    /// Waits for the conversation's next deadline, or for the end of all conversations.
    async fn wait(deadline: Option<Instant>, stop: Option<&CancellationToken>) -> Woken {
        let due = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let stopped = async {
            match stop {
                Some(stop) => stop.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => Woken::Due,
            () = stopped => Woken::Stop,
        }
    }
}

/// Why a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Woken {
    Due,
    Stop,
}

/// No code panics while it holds the lock, and if it did, the figures would still be valid.
pub(super) fn lock(stats: &Mutex<Stats>) -> MutexGuard<'_, Stats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The timeout of a request that the server has no reason to hold.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of a goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
