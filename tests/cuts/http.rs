//! One connection after another for requests of HTTP/1.1, each possibly cut.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Buf as _;
use tokio::time::timeout;

use crate::random::Random;
use crate::schedule::Hop;
use crate::session::Session;
use crate::wire::{Broken, Wire};
use crate::world::World;

/// What a client of a session uses for its requests: one connection at a time.
#[derive(Debug)]
pub(crate) struct Http<'a> {
    world: &'a World,
    session: &'a Session,
    /// Which of the session's connections these are.
    lane: u64,
    ordinal: u64,
    wire: Option<Wire>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Length(usize),
    Chunks,
    Over,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl<'a> Http<'a> {
    pub(crate) fn new(world: &'a World, session: &'a Session, lane: u64) -> Self {
        Self { world, session, lane, ordinal: 0, wire: None, body: Body::Over }
    }

    /// Returns a new connection to a node, which may be another one than before.
    pub(crate) async fn connect(&mut self) -> Result<Wire, Broken> {
        self.ordinal += 1;
        let connection = self.lane << 32 | self.ordinal;
        let mut random = Random::of(&[self.world.schedule.seed, self.session.id, connection]);
        let node = if self.session.plan.is_foreign { random.below(2) } else { self.session.id / 14 % 2 };
        let mut wire = Wire::connect(self.world.nodes[usize::from(node == 1)], &self.world.schedule).await?;
        let odds = World::odds(Hop::Client, self.session.plan.kind);
        wire.cut_at(Hop::Client, self.world.schedule.cut(Hop::Client, self.session.id, connection, odds));
        Ok(wire)
    }

    fn note(&mut self) {
        if self.wire.as_ref().is_some_and(|wire| wire.was_cut) {
            self.session.client_was_cut.store(true, Ordering::Relaxed);
        }
    }

    /// Has the next request come on a new connection, possibly to the other node.
    pub(crate) fn leave(&mut self) {
        self.note();
        self.wire = None;
    }

    /// Sends a request, and returns the response's status and header.
    pub(crate) async fn begin(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: Option<&str>,
    ) -> Result<Response, Broken> {
        // A response that nobody has read to its end, or a cut between two requests, ends a connection.
        if !matches!(self.body, Body::Over) || self.wire.as_ref().is_some_and(Wire::is_gone) {
            self.leave();
        }
        if self.wire.is_none() {
            self.wire = Some(self.connect().await?);
        }
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: cuts\r\n{headers}");
        if let Some(body) = body {
            let _ =
                write!(request, "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        } else {
            request += "\r\n";
        }
        // Until the response has begun, its end is unknown.
        self.body = Body::Chunks;
        let result = self.exchange(request.as_bytes()).await;
        if result.is_err() {
            self.leave();
        }
        result
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Response, Broken> {
        let wire = self.wire.as_mut().ok_or(Broken)?;
        wire.write(request).await?;
        let head =
            String::from_utf8_lossy(&timeout(STUCK, wire.until(b"\r\n\r\n")).await.map_err(|_| {
                self.session.fault("a request was never answered".to_owned());
                Broken
            })??)
            .to_ascii_lowercase();
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(Broken)?;
        let length = field(&head, "content-length").and_then(|length| length.parse().ok());
        self.body = match length {
            _ if status == 204 => Body::Over,
            Some(0) => Body::Over,
            Some(length) => Body::Length(length),
            None => Body::Chunks,
        };
        Ok(Response { status, head, body: Vec::new() })
    }

    /// Returns the next piece of the response's body, if there is any.
    pub(crate) async fn piece(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let result = self.next_piece().await;
        if result.is_err() {
            self.leave();
        }
        result
    }

    async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let wire = self.wire.as_mut().ok_or(Broken)?;
        match self.body {
            Body::Over => Ok(None),
            Body::Length(left) => {
                while wire.buffer.is_empty() {
                    wire.fill().await?;
                }
                let piece = wire.buffer.split_to(left.min(wire.buffer.len()));
                self.body = if piece.len() == left { Body::Over } else { Body::Length(left - piece.len()) };
                Ok(Some(piece.to_vec()))
            }
            // A chunk is taken once it is whole, so that this may be dropped.
            Body::Chunks => loop {
                if let Some(at) = crate::wire::find(&wire.buffer, b"\r\n") {
                    let size = std::str::from_utf8(&wire.buffer[..at])
                        .ok()
                        .and_then(|size| usize::from_str_radix(size, 16).ok());
                    let size = size.ok_or(Broken)?;
                    if wire.buffer.len() >= at + size + 4 {
                        let chunk = wire.buffer[at + 2..at + 2 + size].to_vec();
                        wire.buffer.advance(at + size + 4);
                        if size == 0 {
                            self.body = Body::Over;
                            return Ok(None);
                        }
                        return Ok(Some(chunk));
                    }
                }
                wire.fill().await?;
            },
        }
    }

    /// Sends a request, and returns the whole response.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: Option<&str>,
    ) -> Result<Response, Broken> {
        let mut response = self.begin(method, target, headers, body).await?;
        while let Some(piece) = timeout(STUCK, self.piece()).await.unwrap_or(Err(Broken))? {
            response.body.extend_from_slice(&piece);
        }
        if field(&response.head, "connection") == Some("close") {
            self.leave();
        }
        Ok(response)
    }
}

/// Returns a header's value; the head is in lower case.
fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// What nobody waits for, however busy the machine is.
pub(crate) const STUCK: Duration = Duration::from_mins(2);
