//! HTTP long-polling: always one GET, and a POST whenever there is something to say and none is under way.

use std::future::Future;
use std::pin::Pin;

use http::StatusCode;
use tokio::time::{Instant, timeout};

use super::protocol::{Protocol, shown};
use super::websocket::Frames;
use super::{GOODBYE_TIMEOUT, REQUEST_TIMEOUT, Session, Woken};
use crate::codec::engineio::OpenPacket;
use crate::load::fault::Fault;
use crate::load::net::{Answer, Line};
use crate::load::stats::Cost;
use crate::packet::{Packet, Transport};

/// A session that has its sid.
#[derive(Debug)]
pub(super) struct Polling {
    get: Line,
    post: Line,
    pub(super) open: OpenPacket,
    /// Messages in the POST that is under way.
    posted: u64,
    /// Reused from POST to POST.
    packets: Vec<Packet>,
}

/// A WebSocket on its way to be a session's.
pub(super) type Probe = Pin<Box<dyn Future<Output = Result<Frames, Fault>> + Send>>;

/// Polls from the beginning to the end.
pub(super) async fn run(session: &mut Session) -> Result<(), Fault> {
    let mut polling = Polling::open(session).await?;
    polling.converse(session, None).await?;
    polling.close(session).await;
    Ok(())
}

impl Polling {
    /// Asks for a session.
    pub(super) async fn open(session: &mut Session) -> Result<Self, Fault> {
        let line = |session: &Session| Line::new(&session.common.connector, session.source);
        let (mut get, post) = (line(session), line(session));
        let query = session.query(Transport::Polling, None);
        get.ask(session.common.head.get(query));
        let answer = timeout(REQUEST_TIMEOUT, get.answer())
            .await
            .map_err(|_| Fault::Slow("the handshake", REQUEST_TIMEOUT))??;
        let answer = expect("the handshake", answer)?;
        session.note(Cost::get(0, answer.bytes));
        let mut packets = session.common.protocol.packets(answer);
        let first = packets.next().unwrap_or_else(|| Err(Fault::Malformed(String::new())))?;
        let open = Protocol::open(&first)?;
        session.handle_open(Some(&open))?;
        session.handle(packets)?;
        Ok(Self { get, post, open, posted: 0, packets: Vec::new() })
    }

    /// Talks until the session is over, or until a probe has become its WebSocket and both lines have come to rest.
    pub(super) async fn converse(
        &mut self,
        session: &mut Session,
        mut probe: Option<Probe>,
    ) -> Result<Option<Frames>, Fault> {
        let stop = session.common.stop.clone();
        let (mut upgraded, mut stopping) = (None, false);
        loop {
            let now = Instant::now();
            session.conversation.handle_timeout(now)?;
            if session.conversation.is_over(now) {
                return Ok(None);
            }
            if upgraded.is_none() {
                self.ask(session);
            } else if !self.get.is_busy() && !self.post.is_busy() {
                return Ok(upgraded);
            }
            let deadline = session.conversation.poll_timeout();
            tokio::select! {
                biased;
                answer = self.get.answer() => Self::handle_poll(session, answer?)?,
                answer = self.post.answer() => self.handle_post(session, answer?)?,
                probed = ready(&mut probe) => {
                    probe = None;
                    match probed {
                        Ok(frames) => upgraded = Some(frames),
                        Err(fault) => session.stats().handle_fault(session.kind, &Fault::Upgrade(Box::new(fault))),
                    }
                }
                woken = Session::wait(deadline, (!stopping).then_some(&stop)) => if woken == Woken::Stop {
                    stopping = true;
                    session.conversation.handle_stop(Instant::now());
                },
            }
        }
    }

    /// Says goodbye; a server that has gone before is no fault.
    pub(super) async fn close(&mut self, session: &mut Session) {
        let goodbye: Vec<Packet> = session.conversation.goodbye().collect();
        let _ = timeout(GOODBYE_TIMEOUT, async {
            if self.post.is_busy() {
                self.post.answer().await?;
            }
            self.send(session, &goodbye);
            self.post.answer().await?;
            // The server answers the poll that waits.
            if self.get.is_busy() {
                self.get.answer().await?;
            }
            Ok::<(), Fault>(())
        })
        .await;
    }

    fn ask(&mut self, session: &mut Session) {
        if !self.get.is_busy() {
            let query = session.query(Transport::Polling, Some(&self.open.sid));
            self.get.ask(session.common.head.get(query));
        }
        if !self.post.is_busy() && session.conversation.wants_to_write() {
            let mut packets = std::mem::take(&mut self.packets);
            self.posted = session.conversation.write(&mut packets);
            self.send(session, &packets);
            packets.clear();
            self.packets = packets;
        }
    }

    fn send(&mut self, session: &mut Session, packets: &[Packet]) {
        let query = session.query(Transport::Polling, Some(&self.open.sid));
        let body = session.common.protocol.payload(packets);
        self.post.ask(session.common.head.post(query, body));
    }

    fn handle_poll(session: &mut Session, answer: Answer) -> Result<(), Fault> {
        let answer = expect("a poll", answer)?;
        let bytes = answer.bytes;
        let packets = session.common.protocol.packets(answer);
        let answers = session.handle(packets)?;
        session.note(Cost::get(answers, bytes));
        Ok(())
    }

    fn handle_post(&mut self, session: &mut Session, answer: Answer) -> Result<(), Fault> {
        let answer = expect("a POST", answer)?;
        session.conversation.handle_accepted();
        session.note(Cost::post(std::mem::take(&mut self.posted), answer.bytes));
        Ok(())
    }
}

/// Waits for a probe; for ever where there is none.
async fn ready(probe: &mut Option<Probe>) -> Result<Frames, Fault> {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}

fn expect(what: &'static str, answer: Answer) -> Result<Answer, Fault> {
    if answer.status == StatusCode::OK {
        return Ok(answer);
    }
    Err(Fault::Status { what, status: answer.status, body: shown(&answer.body) })
}
