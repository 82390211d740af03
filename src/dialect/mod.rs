//! The protocols of clients: what a request asks for, what it does with its session, and how packets are encoded. Pure:
//! no I/O, no clock.
//!
//! Each dialect is a folder and one line in [`DIALECTS`](table::DIALECTS). It handles a request in two steps, and the
//! gateway does the rest: [`read`](Dialect::read) reads only the header; then the gateway finds the session, and
//! [`judge`](Dialect::judge) decides what the request does with it.

pub mod engineio;
mod framing;
pub mod keys;
#[cfg(test)]
pub mod lines;
pub mod longpoll;
mod settings;
pub mod sockjs;
pub mod table;
mod urlencoded;
pub mod websocket;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderValue};

pub use self::framing::{
    Framing, Greeting, Part, PollBody, PushForm, Read, Refusal, RequestKind, StreamHead, Written,
};
pub use self::keys::Clash;
pub use self::settings::Settings;
pub use self::table::{find, has_others_ids, named_by_proxy};
use crate::packet::{Closing, Heartbeat, Transport};
use crate::reply::Reply;
use crate::revision::{Protocol, Revision, Versions};
use crate::session::{Ending, Policy, Terms};
use crate::sid::Sid;

/// The protocol of the clients of one route, with the route's settings.
pub trait Dialect: Send + Sync + fmt::Debug {
    /// Returns the name in the configuration.
    fn name(&self) -> &'static str;

    /// Returns what a request asks for.
    ///
    /// # Errors
    /// The response to a request that needs no session.
    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>>;

    /// Decides what a request does, given where its session is.
    ///
    /// # Errors
    /// The response to a request that has no effect there.
    fn judge(&self, intent: Intent, place: &Place<'_>, request: &Request<'_>) -> Result<Act, Box<Answered>>;

    /// Returns a number for what a request asks of its session, if [`judge`](Self::judge) needs nothing else of the request: another
    /// node learns it in place of what it would read again. A number always means the same, also in later versions.
    fn number(&self, _intent: &Intent) -> Option<u8> {
        None
    }

    /// Decides what a request with this [number](Self::number) does, given where its session is; `None` if it has no effect there.
    fn judge_number(&self, _number: u8, _place: &Place<'_>) -> Option<Act> {
        None
    }

    /// Returns the response to a request for a session that nobody has, unless it begins that.
    fn refuse_unknown(&self, intent: Intent, kind: RequestKind) -> Box<Answered>;

    /// Returns whether the dialect sets CORS headers itself, unless the route sets a rule.
    fn speaks_cors(&self) -> bool {
        false
    }

    /// Returns whether its responses to Internet Explorer have headers that others do not have.
    fn spares_legacy_ie(&self) -> bool {
        false
    }

    /// Returns the key whose value keeps every client of the route from its backend, if there is one. `check` asks a
    /// dialect that it has built for the revisions that the backend serves, translated or not.
    fn clash(&self) -> Option<Clash> {
        None
    }

    /// Returns the session that a client with this query would begin: the backend sees it when it is asked about a
    /// request that names no session. `None` if the dialect answers such requests itself.
    fn begin(&self, query: &str) -> Option<Beginning>;
}

/// The parts of a request that a dialect reads.
#[derive(Clone, Copy, Debug)]
pub struct Request<'h> {
    /// Its header.
    pub head: &'h Parts,
    /// Its path after the route's prefix, as the client wrote it, including a slash that ends the prefix.
    pub path: &'h str,
    /// Whether it is a WebSocket handshake.
    pub kind: RequestKind,
    /// What the request itself does not say.
    pub environment: &'h dyn Environment,
}

/// What a dialect may use besides the request: the time, random numbers, and some properties of its route.
pub trait Environment: fmt::Debug {
    /// Returns the seconds since the beginning of 1970.
    fn unix_time(&self) -> u64;

    /// Returns an unpredictable number.
    fn random(&self) -> u32;

    /// Returns whether the origin in these headers may connect. A request without `Origin` does not come from a page.
    fn allows_origin(&self, headers: &HeaderMap) -> bool;

    /// Returns whether some origins may not connect.
    fn is_restricted(&self) -> bool;

    /// Returns how long the backend's recent handshakes took: longer than nine in ten of them.
    fn handshakes_take(&self) -> Duration;
}

/// What a request asks for.
#[derive(Debug)]
pub enum Ask<'h> {
    /// A new session.
    Begin(Box<Beginning>),
    /// An operation on the session with this id.
    Session(Cow<'h, str>, Intent),
    /// Something unknown, by a WebSocket, which is accepted and closed at once, as by the reference.
    TurnAway(Arc<dyn Framing>),
}

/// What a request asks of a session.
#[derive(Debug)]
pub struct Intent {
    /// The operation.
    pub operation: Operation,
    /// The transport that it names.
    pub transport: Transport,
    /// The version of the dialect that it names.
    pub version: u8,
}

/// The operations that a request can ask for.
#[derive(Debug)]
pub enum Operation {
    /// The client's next packets.
    Poll,
    /// To deliver packets of the client.
    Push,
    /// To end the session.
    Leave,
    /// To move the session to this WebSocket.
    Upgrade,
    /// None, by a WebSocket, which is accepted and closed at once.
    TurnAway,
    /// The client's next packets, in this framing; the first such request begins the session.
    Receive(Arc<dyn Framing>),
    /// To deliver packets of the client, in this framing.
    Send(Arc<dyn Framing>),
    /// Nothing that a session has: this is the response if there is one.
    Nothing(Box<Answered>),
}

/// Where the session of a request is.
#[derive(Clone, Copy, Debug)]
pub enum Place<'e> {
    /// Here.
    Here(Known<'e>),
    /// Being opened at its backend.
    Opening,
    /// Ended; the proxy continues to say so.
    Gone(&'e Ending),
    /// Nowhere: unknown.
    Nowhere,
}

/// What the index knows about a session.
#[derive(Clone, Copy, Debug)]
pub struct Known<'e> {
    /// Its client's transport.
    pub transport: Transport,
    /// The framing of its first request.
    pub framing: &'e Arc<dyn Framing>,
    /// Whether its WebSocket is relayed.
    pub is_relayed: bool,
}

/// What the gateway does for a request, and how the request is read and answered.
#[derive(Debug)]
pub enum Act {
    /// Begin the session that it names.
    Begin(Box<Beginning>),
    /// Answer it with this end, as the session would that it names: that has ended, or another request receives for it.
    ReportEnd(Arc<dyn Framing>, Closing),
    /// Park it until there is something for its client.
    Poll(Arc<dyn Framing>, Terms),
    /// Answer it with a stream.
    Stream(Arc<dyn Framing>, Terms),
    /// Read its body into the session.
    Push(Arc<dyn Framing>),
    /// End the session at its client's request.
    Leave(Arc<dyn Framing>),
    /// Offer its WebSocket to the session.
    Upgrade(Arc<dyn Framing>),
    /// Accept its WebSocket and close it at once.
    TurnAway(Arc<dyn Framing>),
}

/// A session before its backend is asked.
#[derive(Debug)]
pub struct Beginning {
    /// Its client's transport.
    pub transport: Transport,
    /// How its first request is read and answered, and its WebSocket is written.
    pub framing: Arc<dyn Framing>,
    /// The rules for it.
    pub policy: Arc<Policy>,
    /// The origin of its id.
    pub identity: Identity,
    /// The cookie with its id, if one is set.
    pub cookie: Option<SessionCookie>,
    /// The application's pairs of the query, as the client wrote them.
    pub query: String,
    /// Whether the path after the route's prefix belongs to the application, too.
    pub keeps_path: bool,
    /// Who offers subprotocols to the backend.
    pub subprotocol: Subprotocol,
    /// Its client's revision of Engine.IO, if it speaks Engine.IO.
    pub revision: Option<Revision>,
    /// The heartbeat of its WebSocket, if the dialect's own keys set it; otherwise the route's, or the backend's.
    pub pace: Option<Heartbeat>,
    /// Whether its WebSocket may be relayed: client and backend speak the same protocol.
    pub may_relay: bool,
}

/// Who offers subprotocols to the backend (RFC 6455, section 1.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subprotocol {
    /// The client, which learns what the backend chose.
    Clients,
    /// The route: this one, or none. The client has no part in it.
    Routes(Option<HeaderValue>),
}

/// The origin of a session's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// The proxy.
    Ours,
    /// The backend, if it announces one: the application knows its client by it.
    Backends,
    /// The client: the id in the request.
    Clients,
}

/// A cookie with a session's id, for load balancers in front.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionCookie {
    /// Its name.
    pub name: &'static str,
    /// The text after its value.
    pub attributes: &'static str,
    /// Whether every response to a poll sets it, or only the first.
    pub always: bool,
}

impl SessionCookie {
    /// Returns the header's value for this session.
    pub fn value(&self, sid: &Sid) -> Option<HeaderValue> {
        format!("{}={}; {}", self.name, sid.as_str(), self.attributes).try_into().ok()
    }
}

/// The response to a request that needs no session, or not the one that was found.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub reply: Reply,
    /// What else is done about the request.
    pub note: Note,
    /// How long the response is held back.
    pub hold: Duration,
}

/// What else is done about a request that is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// Nothing.
    Nothing,
    /// Log that its version is not accepted here; this is how the client wrote it.
    Version(String),
    /// Its method is unknown to sessions, unless the route's CORS layer answers it.
    Method,
}

impl From<Reply> for Box<Answered> {
    fn from(reply: Reply) -> Self {
        Self::new(Answered { reply, note: Note::Nothing, hold: Duration::ZERO })
    }
}

/// What a route's dialect knows of its backend.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its revisions of Engine.IO, if it speaks Engine.IO.
    pub versions: Versions,
    /// Whether the messages of its sessions are known to be Socket.IO's.
    pub socket_io: bool,
}
