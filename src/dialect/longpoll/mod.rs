//! longpoll, for clients that speak nothing but HTTP: a client asks for the messages after a number and so acknowledges
//! those up to it. It can ask again for messages that it has not acknowledged.
//!
//! [`Query`] is what a request asks for. [`LongPollFraming`] writes the response: one JSON object ([`json`]), a line
//! for each message, or events ([`sse`]).

mod form;
mod framing;
mod json;
mod keys;
mod query;
mod reply;
mod settings;
mod sse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use self::form::Form;
use self::framing::LongPollFraming;
pub(super) use self::keys::KEYS;
use self::query::Query;
pub use self::settings::Settings;
use super::{
    Act, Answered, Ask, Beginning, Dialect, Identity, Intent, Operation, Place, Request, RequestKind,
    Subprotocol,
};
use crate::end::End;
use crate::packet::{Packet, Transport};
use crate::session::{Acks, Binary, HangUp, Liveness, Pinger, Policy, Pushes, Second, Terms};

/// The dialect `longpoll` of one route.
#[derive(Debug)]
pub struct LongPoll {
    settings: Settings,
    policy: Arc<Policy>,
}

impl LongPoll {
    /// The name in the configuration.
    pub const NAME: &'static str = "longpoll";

    /// Creates the dialect of a route with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { policy: Arc::new(policy(settings.grace)), settings }
    }

    fn beginning(&self, base: &str, query: &str) -> Beginning {
        let framing = LongPollFraming { form: Form::Json, query: Query::default(), base: base.to_owned() };
        Beginning {
            transport: Transport::Polling,
            framing: Arc::new(framing),
            policy: Arc::clone(&self.policy),
            identity: Identity::Ours,
            cookie: None,
            query: query.to_owned(),
            keeps_path: true,
            subprotocol: Subprotocol::Clients,
            pace: None,
            revision: None,
            may_relay: false,
        }
    }

    /// Returns what a GET receives, and in which format.
    fn receive(&self, framing: LongPollFraming) -> Act {
        let Query { after, wait, max, bytes, .. } = framing.query;
        let (form, most) = (framing.form, self.settings.wait);
        let framing: Arc<LongPollFraming> = Arc::new(framing);
        let terms = Terms {
            after,
            wait: Some(wait.map_or(most, |wait| wait.min(most))),
            messages: max.unwrap_or(usize::MAX),
            bytes: bytes.unwrap_or(usize::MAX),
            budget: self.settings.stream_budget,
            beats: false,
            ..Terms::default()
        };
        match form {
            Form::Json => Act::Poll(framing, terms),
            Form::Lines => Act::Stream(framing, terms),
            // A stream continues for as long as its client reads, unless the request sets `wait`.
            Form::Events => Act::Stream(
                framing,
                Terms { wait: terms.wait.filter(|_| wait.is_some()), beats: true, ..terms },
            ),
        }
    }
}

impl Dialect for LongPoll {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        let &Request { head, path, .. } = request;
        let written = head.uri.query().unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.is_empty() {
            if head.method != Method::POST {
                return Err(reply::bad_method("POST").into());
            }
            let base = head.uri.path();
            return Ok(Ask::Begin(Box::new(self.beginning(base.strip_suffix('/').unwrap_or(base), written))));
        }
        if path.contains('/') {
            return Err(reply::not_found().into());
        }
        if ![Method::GET, Method::POST, Method::DELETE].contains(&head.method) {
            return Err(reply::bad_method("GET, POST, DELETE").into());
        }
        let operation = match head.method {
            Method::POST => Operation::Push,
            Method::DELETE => Operation::Leave,
            _ => Operation::Poll,
        };
        Ok(Ask::Session(Cow::Borrowed(path), Intent { operation, transport: Transport::Polling, version: 0 }))
    }

    fn judge(&self, intent: Intent, place: &Place<'_>, request: &Request<'_>) -> Result<Act, Box<Answered>> {
        let headers = &request.head.headers;
        let written = request.head.uri.query().unwrap_or_default();
        // Nobody knows an id before its session has begun.
        if matches!(place, Place::Opening | Place::Nowhere) {
            return Err(reply::not_found().into());
        }
        let query = Query::of(written, headers);
        let query = query.map_err(|why| reply::wrong(StatusCode::BAD_REQUEST, why))?;
        if let Place::Gone(ending) = place {
            let after = query.after.filter(|_| matches!(intent.operation, Operation::Poll));
            return Err(reply::gone(ending, after).into());
        }
        let framing = LongPollFraming { form: Form::of(headers), query, base: String::new() };
        Ok(match intent.operation {
            Operation::Push => Act::Push(Arc::new(framing)),
            Operation::Leave => Act::Leave(Arc::new(framing)),
            Operation::Poll => self.receive(framing),
            // It never asks so.
            Operation::Upgrade
            | Operation::TurnAway
            | Operation::Receive(_)
            | Operation::Send(_)
            | Operation::Nothing(_) => {
                return Err(reply::not_found().into());
            }
        })
    }

    fn refuse_unknown(&self, _intent: Intent, _kind: RequestKind) -> Box<Answered> {
        reply::not_found().into()
    }

    fn begin(&self, query: &str) -> Option<Beginning> {
        Some(self.beginning("", query))
    }
}

/// Returns the rules for sessions that are remembered, and may be without a receiver, for this long.
fn policy(grace: Duration) -> Policy {
    Policy {
        hang_up: HangUp::Returns,
        second: Second::Replaces,
        acks: Acks::OnCursor,
        pushes: Pushes::Queued,
        pinger: Pinger::Nobody(Liveness { beat: BEAT, absence: grace, is_heard: true }),
        crossing: Duration::ZERO,
        echoes: Duration::ZERO,
        piggyback: None,
        goodbye_waiting: &[Packet::Close(None)],
        goodbye_late: &[Packet::Close(None)],
        why: Some(End::reason),
        remembered: grace,
        binary: Binary::Crosses,
        replaced: &[Packet::Noop],
        encoded_len: json::encoded_len,
    }
}

/// The interval of comments on a stream, so that no intermediary takes it for dead.
const BEAT: Duration = Duration::from_secs(15);
