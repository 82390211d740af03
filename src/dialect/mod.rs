//! What clients speak: what a request asks for, what that means for its session, and bytes to packets and back. Pure: no
//! I/O, no clock.
//!
//! Each dialect is a folder and one line in [`DIALECTS`](table::DIALECTS). A request goes through it in two steps, and
//! the gateway does the rest: [`read`](Dialect::read) looks at the head alone; then the gateway finds the session, and
//! [`judge`](Dialect::judge) says what the request means there.

pub mod engineio;
mod framing;
pub mod keys;
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
    Framing, Greeting, Part, PollBody, PushForm, Read, Refusal, Road, StreamHead, Written,
};
pub use self::settings::Settings;
pub use self::table::{find, told_by};
use crate::packet::{Heartbeat, Transport};
use crate::reply::Reply;
use crate::revision::{Protocol, Revision, Versions};
use crate::session::{Ending, Policy, Terms};
use crate::sid::Sid;

/// What the clients of one route speak, with the route's settings.
pub trait Dialect: Send + Sync + fmt::Debug {
    /// Returns the name in the configuration.
    fn name(&self) -> &'static str;

    /// Returns what a request asks for.
    ///
    /// # Errors
    /// The answer to a request that needs no session for it.
    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>>;

    /// Returns what a request means where its session is.
    ///
    /// # Errors
    /// The answer to a request that means nothing there.
    fn judge(&self, want: Want, place: &Place<'_>, request: &Request<'_>) -> Result<Act, Box<Answered>>;

    /// Returns whether it tells browsers itself what pages of other origins may do, unless the route says it.
    fn speaks_cors(&self) -> bool {
        false
    }

    /// Returns the session that a client would begin with this query, if it began one: what a backend is told that is
    /// asked about a request that names none. `None` where the dialect answers such requests itself.
    fn begin(&self, query: &str) -> Option<Beginning>;
}

/// What a dialect reads of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'h> {
    /// Its head.
    pub head: &'h Parts,
    /// Its path behind the route's prefix, as the client wrote it; a slash in which the prefix ends is part of it, too.
    pub path: &'h str,
    /// How it came.
    pub road: Road,
    /// Answers what the request itself does not say.
    pub world: &'h dyn World,
}

/// What a dialect may ask of the world, when it reads a request.
pub trait World: fmt::Debug {
    /// Seconds since the beginning of 1970.
    fn unix_time(&self) -> u64;

    /// Returns a number that nobody can guess.
    fn random(&self) -> u32;

    /// Returns whether the page that sends these headers is of an origin that may connect. No page sends a request
    /// without `Origin`.
    fn allows_origin(&self, headers: &HeaderMap) -> bool;

    /// Returns whether there are pages that may not connect.
    fn is_restricted(&self) -> bool;

    /// Returns how long the backend's handshakes take these days: longer than nine in ten of them.
    fn handshakes_take(&self) -> Duration;
}

/// What a request asks for.
#[derive(Debug)]
pub enum Ask<'h> {
    /// A new session.
    Begin(Box<Beginning>),
    /// Something of the session with this id.
    Session(Cow<'h, str>, Want),
    /// Nothing that there is, by a WebSocket: it is accepted and closed at once, because the reference does so.
    TurnAway(Arc<dyn Framing>),
}

/// What a request wants of a session.
#[derive(Debug)]
pub struct Want {
    /// What.
    pub wish: Wish,
    /// The transport that it names.
    pub transport: Transport,
    /// The version of the dialect that it names.
    pub version: u8,
}

/// What a request can want of a session.
#[derive(Debug)]
pub enum Wish {
    /// What there is for the client.
    Poll,
    /// To hand over what the client has.
    Push,
    /// To end it.
    Leave,
    /// To move to this WebSocket.
    Upgrade,
    /// Nothing, by a WebSocket, which is accepted and closed at once.
    TurnAway,
    /// What there is for the client, in this framing: the first such request begins the session.
    Receive(Arc<dyn Framing>),
    /// To hand over what the client has, in this framing.
    Send(Arc<dyn Framing>),
    /// Nothing that any session has: this is the answer where there is one.
    Nothing(Box<Answered>),
}

/// Where the session of a request is.
#[derive(Clone, Copy, Debug)]
pub enum Place<'e> {
    /// Here.
    Here(Known<'e>),
    /// Its backend is being asked for it.
    Opening,
    /// It has ended, and goes on saying so.
    Gone(&'e Ending),
    /// Nowhere.
    Nowhere,
}

/// What the index knows of a session.
#[derive(Clone, Copy, Debug)]
pub struct Known<'e> {
    /// What its client is on.
    pub transport: Transport,
    /// How its first request was written.
    pub framing: &'e Arc<dyn Framing>,
    /// Whether its WebSocket is left to its two ends.
    pub is_relayed: bool,
}

/// What is to be done for a request, and how it is read and answered.
#[derive(Debug)]
pub enum Act {
    /// Begin the session that it names.
    Begin(Box<Beginning>),
    /// Park it until there is something for its client.
    Poll(Arc<dyn Framing>, Terms),
    /// Answer it with a stream.
    Stream(Arc<dyn Framing>, Terms),
    /// Read its body into the session.
    Push(Arc<dyn Framing>),
    /// End the session, as its client wants it.
    Leave(Arc<dyn Framing>),
    /// Offer its WebSocket to the session.
    Upgrade(Arc<dyn Framing>),
    /// Accept its WebSocket and close it at once.
    TurnAway(Arc<dyn Framing>),
}

/// A session before its backend is asked.
#[derive(Debug)]
pub struct Beginning {
    /// What its client comes on.
    pub transport: Transport,
    /// How its first request is read and answered, and its WebSocket is written.
    pub framing: Arc<dyn Framing>,
    /// How it is treated.
    pub policy: Policy,
    /// Whose id it has.
    pub identity: Identity,
    /// The cookie with its id, if there is to be one.
    pub cookie: Option<SessionCookie>,
    /// The pairs of the query that are the application's, as the client wrote them.
    pub query: String,
    /// Whether the path behind the route's prefix is the application's, too.
    pub keeps_path: bool,
    /// The revision of Engine.IO that its client speaks, if it speaks it.
    pub revision: Option<Revision>,
    /// The heartbeat of its WebSocket, where the dialect's own keys set it; else the route's, or the backend's.
    pub pace: Option<Heartbeat>,
    /// Whether its WebSocket may be left to it and its backend: they speak alike.
    pub may_relay: bool,
}

/// Whose id a session has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// One of ours.
    Ours,
    /// The backend's, where it tells one: its client is known to the application by it.
    Backends,
    /// Its client's: the one in the request.
    Clients,
}

/// A cookie with a session's id, for balancers in front.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionCookie {
    /// Its name.
    pub name: &'static str,
    /// What stands behind its value.
    pub attributes: &'static str,
    /// Whether every answer to a poll says it, or the first alone.
    pub always: bool,
}

impl SessionCookie {
    /// Returns the header's value for this session.
    pub fn value(&self, sid: &Sid) -> Option<HeaderValue> {
        format!("{}={}; {}", self.name, sid.as_str(), self.attributes).try_into().ok()
    }
}

/// A request's answer that needs no session, or not the one that was found.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub reply: Reply,
    /// What else is to be done about the request.
    pub note: Note,
    /// How long the answer is held back.
    pub hold: Duration,
}

/// What is to be done about a request that has its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// Nothing.
    Nothing,
    /// The log says that its version is not taken here; this is how the client wrote it.
    Version(String),
    /// Its method is one that sessions have no use for, unless the route's CORS layer has one.
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
    /// What it speaks.
    pub protocol: Protocol,
    /// The revisions of Engine.IO that it speaks, where it speaks it.
    pub versions: Versions,
    /// Whether the messages of its sessions are known to be Socket.IO's.
    pub socket_io: bool,
}
