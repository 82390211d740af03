//! HTTP: one request always receives, and another is sent whenever there are messages and none is pending.

use std::future::Future;
use std::pin::Pin;

use tokio::time::{Instant, timeout};

use super::requests::{Begun, Requests, line_of};
use super::websocket::Frames;
use super::{GOODBYE_TIMEOUT, REQUEST_TIMEOUT, Session, Woken};
use crate::load::fault::Fault;
use crate::load::net::{Answer, Line};
use crate::load::stats::Cost;
use crate::packet::Packet;

/// A session that has begun.
#[derive(Debug)]
pub(super) struct Polling {
    pub(super) requests: Box<dyn Requests>,
    /// For what is received.
    get: Line,
    /// For what is sent.
    post: Line,
    /// Whether the current response was already counted as a request: its further parts are not.
    is_counted: bool,
    /// The number of messages in the pending POST.
    posted: u64,
    /// Reused from POST to POST.
    packets: Vec<Packet>,
}

/// A WebSocket on its way to be a session's.
pub(super) type Probe = Pin<Box<dyn Future<Output = Result<Frames, Fault>> + Send>>;

/// Polls, or streams, from the beginning to the end.
pub(super) async fn run(session: &mut Session, requests: Box<dyn Requests>) -> Result<(), Fault> {
    let mut polling = Polling::open(session, requests).await?;
    polling.converse(session, None).await?;
    polling.close(session).await;
    Ok(())
}

impl Polling {
    /// Requests a session.
    pub(super) async fn open(session: &mut Session, requests: Box<dyn Requests>) -> Result<Self, Fault> {
        let line = |session: &Session| Line::new(&session.common.connector, session.source);
        let (get, post) = (line(session), line(session));
        let mut polling = Self { requests, get, post, is_counted: false, posted: 0, packets: Vec::new() };
        let mut asked = String::new();
        let begun = loop {
            if !polling.get.is_busy() {
                let request = polling.requests.begin(&session.common.head);
                asked = line_of(&request);
                polling.ask_for(request);
            }
            if let Some(begun) = polling.begun(session).await.map_err(|fault| fault.of(asked.clone()))? {
                break begun;
            }
        };
        session.handle_open(begun.open.as_ref())?;
        session.handle(begun.packets)?;
        Ok(polling)
    }

    /// Waits for the session to begin. `None` if another request or another part is needed for it.
    async fn begun(&mut self, session: &Session) -> Result<Option<Begun>, Fault> {
        let answer = timeout(REQUEST_TIMEOUT, self.get.answer())
            .await
            .map_err(|_| Fault::Slow("the handshake", REQUEST_TIMEOUT))??;
        session.note(self.cost(&answer));
        self.requests.handle_begun(answer)
    }

    /// Runs the conversation until the session is over, or until a probe has become its WebSocket and both lines are
    /// idle.
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
                answer = self.get.answer() => self.handle_received(session, answer?)?,
                answer = self.post.answer() => self.handle_sent(session, &answer?)?,
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

    /// Says goodbye. It is no fault if the server has disconnected first.
    pub(super) async fn close(&mut self, session: &Session) {
        let goodbye: Vec<Packet> = session.conversation.goodbye().collect();
        let _ = timeout(GOODBYE_TIMEOUT, async {
            if self.post.is_busy() {
                self.post.answer().await?;
            }
            let Some(request) = self.requests.end(&session.common.head, &goodbye) else { return Ok(()) };
            self.post.ask(request);
            self.post.answer().await?;
            // The server responds to the pending request.
            while self.get.is_busy() {
                self.get.answer().await?;
            }
            Ok::<(), Fault>(())
        })
        .await;
    }

    fn ask(&mut self, session: &mut Session) {
        if !self.get.is_busy() {
            let request = self.requests.receive(&session.common.head);
            self.ask_for(request);
        }
        if !self.post.is_busy() && session.conversation.wants_to_write() {
            let mut packets = std::mem::take(&mut self.packets);
            self.posted = session.conversation.write(&mut packets, self.requests.batch_max());
            self.post.ask(self.requests.send(&session.common.head, &packets));
            packets.clear();
            self.packets = packets;
        }
    }

    fn ask_for(&mut self, request: http::Request<http_body_util::Full<bytes::Bytes>>) {
        self.is_counted = false;
        if self.requests.streams() { self.get.ask_for_parts(request) } else { self.get.ask(request) }
    }

    fn handle_received(&mut self, session: &mut Session, answer: Answer) -> Result<(), Fault> {
        let cost = self.cost(&answer);
        let packets = self.requests.handle_received(answer)?;
        let messages = session.handle(packets)?;
        session.note(cost.of(messages));
        Ok(())
    }

    fn handle_sent(&mut self, session: &mut Session, answer: &Answer) -> Result<(), Fault> {
        self.requests.handle_sent(answer)?;
        session.conversation.handle_accepted();
        session.note(Cost::post(std::mem::take(&mut self.posted), answer.bytes));
        Ok(())
    }

    /// Returns the cost of a response, or of a part of it. The first part includes the request; further parts count no
    /// request.
    fn cost(&mut self, answer: &Answer) -> Cost {
        if std::mem::replace(&mut self.is_counted, answer.goes_on) {
            Cost::frames(answer.bytes)
        } else {
            Cost::get(0, answer.bytes)
        }
    }
}

/// Waits for a probe, or forever if there is none.
async fn ready(probe: &mut Option<Probe>) -> Result<Frames, Fault> {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}
