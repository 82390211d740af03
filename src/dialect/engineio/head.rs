//! What a request asks for, checked in the reference's order, which decides the error that a client sees; and how a
//! session begins.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use super::framing::{EngineIoFraming, Jsonp, number};
use super::query::{self, Query};
use super::reply::{Fault, empty};
use super::settings::{Cookie, Settings};
use crate::codec::engineio::{encoded_len, v3};
use crate::dialect::{
    Act, Answered, Ask, Backend, Beginning, Clash, Dialect, Identity, Intent, Note, Operation, Place,
    Request, RequestKind, SessionCookie, Subprotocol,
};
use crate::packet::{Message, Packet, Transport};
use crate::revision::{Protocol, Revision, Versions};
use crate::session::{Acks, Binary, HangUp, Piggyback, Pinger, Policy, Pushes, Second, Terms};

/// The dialect `engine.io` of one route.
#[derive(Debug)]
pub struct EngineIo {
    settings: Settings,
    backend: Backend,
    /// The rules for sessions of each revision.
    v3: Arc<Policy>,
    v4: Arc<Policy>,
}

impl EngineIo {
    /// The name in the configuration.
    pub const NAME: &'static str = "engine.io";

    /// Creates the dialect of a route with these settings and this backend.
    pub fn new(settings: Settings, backend: Backend) -> Self {
        let [v3, v4] = [Revision::V3, Revision::V4].map(|revision| Arc::new(policy(revision, backend)));
        Self { settings, backend, v3, v4 }
    }

    /// Returns the beginning of a session with these settings.
    fn beginning(&self, framing: EngineIoFraming, transport: Transport, query: &str) -> Beginning {
        let revision = framing.revision;
        Beginning {
            transport,
            framing: Arc::new(framing),
            policy: Arc::clone(match revision {
                Revision::V3 => &self.v3,
                Revision::V4 => &self.v4,
            }),
            identity: match revision {
                // In Socket.IO 2 the id of the session is the client's id in the application, on both sides.
                Revision::V3 => Identity::Backends,
                Revision::V4 => Identity::Ours,
            },
            cookie: self.cookie(revision),
            query: query::application_query(query),
            keeps_path: true,
            subprotocol: Subprotocol::Clients,
            revision: Some(revision),
            pace: None,
            may_relay: self.backend.protocol == Protocol::EngineIo && self.backend.versions.has(revision),
        }
    }

    /// Returns the cookie that the client's own server would set.
    fn cookie(&self, revision: Revision) -> Option<SessionCookie> {
        let is_old = self.backend.protocol == Protocol::EngineIo
            && self.backend.versions == Versions { v3: true, v4: false };
        let is_set = match self.settings.cookie {
            Cookie::Off => false,
            Cookie::On => true,
            Cookie::Auto => revision == Revision::V3 && is_old,
        };
        // Servers of each version set it as often as this.
        let (attributes, always) = match revision {
            Revision::V3 => ("Path=/; HttpOnly; SameSite=Strict", true),
            Revision::V4 => ("Path=/; HttpOnly; SameSite=Lax", false),
        };
        is_set.then_some(SessionCookie { name: "io", attributes, always })
    }
}

impl Dialect for EngineIo {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn spares_legacy_ie(&self) -> bool {
        true
    }

    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        let &Request { head, kind, .. } = request;
        let written = head.uri.query().unwrap_or_default();
        let query = Query::parse(written);
        let transport = match query.transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Fault::UnknownTransport.answer(kind)),
        };
        // Exactly "4" is revision 4; any other value, or none, is revision 3.
        let revision = if query.eio.as_deref() == Some("4") { Revision::V4 } else { Revision::V3 };
        if let Some(sid) = query.sid.filter(|sid| !sid.is_empty()) {
            let operation = match (kind, transport, &head.method) {
                (RequestKind::WebSocket, Transport::Polling | Transport::Streaming, _) => Operation::TurnAway,
                (RequestKind::WebSocket, Transport::WebSocket, _) => Operation::Upgrade,
                // A GET with a WebSocket's transport and sid, but without an upgrade: the session is on a WebSocket.
                (RequestKind::Http, Transport::WebSocket, _) => {
                    Operation::Nothing(Fault::BadRequest.answer(kind))
                }
                (RequestKind::Http, Transport::Polling, &Method::GET) => Operation::Poll,
                (RequestKind::Http, Transport::Polling, &Method::POST) => Operation::Push,
                (RequestKind::Http, Transport::Polling | Transport::Streaming, _) => {
                    Operation::Nothing(useless_method())
                }
            };
            return Ok(Ask::Session(sid, Intent { operation, transport, version: number(revision) }));
        }
        if head.method != Method::GET {
            return Err(Fault::BadHandshakeMethod.answer(kind));
        }
        match (transport, kind) {
            (Transport::WebSocket, RequestKind::Http) => return Err(Fault::BadRequest.answer(kind)),
            (Transport::Polling | Transport::Streaming, RequestKind::WebSocket) => {
                return Ok(Ask::TurnAway(turned_away()));
            }
            (Transport::Polling | Transport::Streaming, RequestKind::Http)
            | (Transport::WebSocket, RequestKind::WebSocket) => {}
        }
        if !self.settings.versions.has(revision) {
            // Nothing else of a query may be logged.
            let version = written.split('&').find(|pair| pair.starts_with("EIO=")).unwrap_or("no EIO");
            let mut answer = Fault::UnsupportedVersion.answer(kind);
            answer.note = Note::Version(version.to_owned());
            return Err(answer);
        }
        let jsonp =
            query.j.as_deref().filter(|j| !j.is_empty() && transport == Transport::Polling).map(Jsonp::new);
        let framing = EngineIoFraming {
            revision,
            // A script is text, whatever its client said.
            binary: jsonp.is_none() && query.b64.as_deref().is_none_or(str::is_empty),
            jsonp,
            utf8_twice: self.settings.utf8_twice && revision == Revision::V3,
        };
        Ok(Ask::Begin(Box::new(self.beginning(framing, transport, written))))
    }

    fn judge(&self, intent: Intent, place: &Place<'_>, _request: &Request<'_>) -> Result<Act, Box<Answered>> {
        judge(intent, place)
    }

    /// Returns the version, and whether it is a push.
    fn number(&self, intent: &Intent) -> Option<u8> {
        let pushes = match (&intent.operation, intent.transport) {
            (Operation::Poll, Transport::Polling) => 0,
            (Operation::Push, Transport::Polling) => 1,
            _ => return None,
        };
        Some(intent.version << 1 | pushes)
    }

    fn judge_number(&self, number: u8, place: &Place<'_>) -> Option<Act> {
        let operation = if number & 1 == 0 { Operation::Poll } else { Operation::Push };
        judge(Intent { operation, transport: Transport::Polling, version: number >> 1 }, place).ok()
    }

    fn refuse_unknown(&self, intent: Intent, _kind: RequestKind) -> Box<Answered> {
        Fault::UnknownSid.answer(kind_of(&intent.operation))
    }

    fn clash(&self) -> Option<Clash> {
        let Self { settings, backend, .. } = self;
        let is_shared = |revision| settings.versions.has(revision) && backend.versions.has(revision);
        // A plain WebSocket backend sees no revision: Engine.IO ends in the proxy.
        if backend.protocol == Protocol::WebSocket || is_shared(Revision::V3) || is_shared(Revision::V4) {
            return None;
        }
        let expected = "one of its own, or an upstream whose protocol is \"socket.io\"";
        Some(Clash { key: "versions", expected })
    }

    fn begin(&self, query: &str) -> Option<Beginning> {
        let framing = EngineIoFraming::new(self.backend.versions.newest());
        Some(self.beginning(framing, Transport::Polling, query))
    }
}

/// Returns the rules for sessions whose clients speak a revision.
fn policy(revision: Revision, backend: Backend) -> Policy {
    let v4 = Policy {
        hang_up: HangUp::Ends,
        second: Second::Ends,
        acks: Acks::OnWrite,
        pushes: Pushes::One,
        pinger: Pinger::Server,
        crossing: CROSSING,
        echoes: Duration::ZERO,
        piggyback: None,
        goodbye_waiting: &[Packet::Close(None)],
        goodbye_late: &[Packet::Noop, Packet::Close(None)],
        why: None,
        remembered: Duration::ZERO,
        binary: Binary::Crosses,
        replaced: &[],
        encoded_len,
    };
    match revision {
        Revision::V4 => v4,
        Revision::V3 => Policy {
            pinger: Pinger::Client,
            piggyback: backend.socket_io.then_some(CONNECTED),
            encoded_len: v3::encoded_len,
            ..v4
        },
    }
}

/// Decides what a request does with its session.
fn judge(intent: Intent, place: &Place<'_>) -> Result<Act, Box<Answered>> {
    let Intent { operation, transport, version } = intent;
    let kind = kind_of(&operation);
    let Place::Here(known) = place else { return Err(Fault::UnknownSid.answer(kind)) };
    let is_elsewhere = kind == RequestKind::Http && known.transport != transport;
    if is_elsewhere || known.framing.version() != version {
        return Err(Fault::BadRequest.answer(kind));
    }
    let framing = Arc::clone(known.framing);
    match operation {
        Operation::Poll => Ok(Act::Poll(framing, Terms::default())),
        Operation::Push => Ok(Act::Push(framing)),
        Operation::Upgrade if !known.is_relayed => Ok(Act::Upgrade(framing)),
        // A session that began with a WebSocket keeps that one.
        Operation::Upgrade | Operation::TurnAway => Ok(Act::TurnAway(turned_away())),
        Operation::Nothing(answer) => Err(answer),
        // Such a client never asks for that.
        Operation::Leave | Operation::Receive(_) | Operation::Send(_) => Err(Fault::BadRequest.answer(kind)),
    }
}

/// Returns how the client is refused.
const fn kind_of(operation: &Operation) -> RequestKind {
    match operation {
        Operation::Upgrade | Operation::TurnAway => RequestKind::WebSocket,
        Operation::Poll
        | Operation::Push
        | Operation::Leave
        | Operation::Receive(_)
        | Operation::Send(_)
        | Operation::Nothing(_) => RequestKind::Http,
    }
}

/// Nothing is written on a WebSocket that is closed at once.
fn turned_away() -> Arc<EngineIoFraming> {
    Arc::new(EngineIoFraming::new(Revision::V4))
}

fn useless_method() -> Box<Answered> {
    Box::new(Answered {
        reply: empty(StatusCode::INTERNAL_SERVER_ERROR),
        note: Note::Method,
        hold: Duration::ZERO,
    })
}

/// A poll that its client has already sent is handled sooner, and a lone close packet can wait.
const CROSSING: Duration = Duration::from_millis(4);
/// A server of Socket.IO 2 connects its client to the root in the handshake's response (`initialPacket` in its source).
/// The timeout is longer than such a backend needs on a busy machine, and shorter than the round trip that it saves.
const CONNECTED: Piggyback = Piggyback {
    is_it: |packet| matches!(packet, Packet::Message(Message::Text(text)) if text.as_bytes().as_ref() == b"0"),
    patience: Duration::from_millis(50),
};

#[cfg(test)]
mod tests;
