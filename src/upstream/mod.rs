//! Links to backends: one folder (or file) for each kind, and one line in [`build`].
//!
//! An [`Upstream`] is what the configuration names; opening it for one client returns a [`Link`], the session's back
//! side. A link carries messages in both directions, answers the backend's heartbeat by itself, and reports why it
//! closed.

mod address;
mod affinity;
mod answer;
mod backend_address;
mod body_pace;
mod check;
mod connector;
mod deadline;
#[cfg(feature = "demo")]
mod demo;
mod dial;
mod engineio;
mod forward;
mod gate;
mod handshake;
mod in_use;
mod kept_headers;
mod kinds;
mod late_refusal;
mod lease;
mod mux;
mod pace;
mod pinned;
mod plain;
mod pool;
mod request_body;
mod settings;
mod short_request;
mod sight;
mod socket;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod translated;
mod websocket;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use crate::address::RemoteAddress;
use crate::duplex::Duplex;
pub use crate::packet::Heartbeat;
use crate::packet::{Closing, Message, Text, Transport};
use crate::reply::{Refused, Reply};
pub use crate::revision::Protocol;
use crate::revision::{Revision, Versions};
use crate::sid::Sid;
use crate::spelling::Spelling;
use crate::tls::TlsError;
pub use affinity::HashBy;
pub use answer::{AnswerBody, AnswerError, Forwarded};
pub use body_pace::{BodyLimits, Pace, TooSlow};
pub use check::{Check, CheckBy, Statuses};
pub use forward::{ForwardError, ForwardRequest, Forwarder};
pub use gate::{Gate, Overcrowded, Pass, RequestLimits};
pub use in_use::InUse;
pub use kinds::build;
pub use mux::MuxSettings;
pub use pinned::{Pinned, is_login};
pub use settings::{
    Balance, Embedding, Host, Kind, Limits, ProxyVersion, Settings, Tls, is_secure, is_socket_io,
};
pub use sight::{AddressSight, Sight};

/// Why an upstream cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no URL.
    #[error("an upstream needs at least one URL")]
    NoUrl,
    /// The URL has an unsupported form.
    #[error("`{0}` is not a URL of the form ws://HOST[:PORT][/PATH], wss://..., http://... or https://...")]
    Url(http::Uri),
    /// The trusted authorities could not be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The kind is `demo`, but this binary was built without the demo.
    #[error("this binary was built without the demo backend (cargo feature `demo`)")]
    #[cfg(not(feature = "demo"))]
    NoDemo,
}

/// A backend, or several of the same kind, that sessions can be opened to.
pub trait Upstream: Send + Sync + fmt::Debug {
    /// Opens a link for one client, within its own deadline.
    fn open(&self, request: OpenRequest) -> Opening<'_>;

    /// Returns the protocol of the backend. A client that speaks the same is relayed.
    fn protocol(&self) -> Protocol;

    /// Returns the revisions of Engine.IO that the backend speaks, if it speaks Engine.IO.
    fn versions(&self) -> Versions {
        Versions::ALL
    }

    /// Returns whether it is a server of Engine.IO 3 only, which treats browsers differently.
    fn is_old(&self) -> bool {
        self.protocol() == Protocol::EngineIo && self.versions() == Versions { v3: true, v4: false }
    }

    /// Returns how its first message to a client is read, if that message describes the session.
    fn introduction(&self) -> Option<Introduction> {
        None
    }

    /// Requests a WebSocket with the client's own handshake, and returns the bare stream: the two sides negotiate
    /// handshake, extensions and frames.
    fn relay(&self, request: OpenRequest) -> Relaying<'_>;

    /// Sends the backend a short request without a body, such as a browser's preflight, within its own deadline. `None`
    /// if this kind of backend answers no plain HTTP.
    fn ask(&self, _request: OpenRequest, _method: Method) -> Option<Asking<'_>> {
        None
    }

    /// Returns the forwarder for requests that belong to no session.
    fn forwarder(&self) -> &Forwarder;

    /// Returns whether its addresses can be reached.
    fn health(&self) -> Health;

    /// Returns what an operator may see of it.
    fn sight(&self) -> Sight {
        Sight::default()
    }

    /// Finds out whether it can be reached, if that is unknown; the caller bounds the wait.
    fn check_health(&self) -> HealthCheck<'_> {
        Box::pin(std::future::ready(()))
    }

    /// Returns whether the last attempt failed on all of its addresses, and none has succeeded since.
    #[cfg(test)]
    fn is_down(&self) -> bool {
        self.health() == Health::Down
    }

    /// Notes that no configuration names it any more, so that its addresses need no checks.
    fn abandon(&self) {}

    /// Sets its limits from now on.
    fn limit(&self, _limits: Limits) {}

    /// Prepares for the proxy's end: no session is opened from now on, and the last of them ends within `patience`.
    fn drain(&self, _patience: Duration) {}
}

/// The future of [`Upstream::open`].
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<(Opened, Box<dyn Link>), OpenError>> + Send + 'a>>;

/// Reads a backend's first message: its id, heartbeat and limit for the session; `None` if it says something else.
pub type Introduction = fn(&Text) -> Option<Opened>;

/// Whether an upstream can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Health {
    /// No address has been tried.
    #[default]
    Unknown,
    /// The last attempt reached one of its addresses.
    Up,
    /// The last attempt reached none.
    Down,
}

impl Health {
    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The future of [`Upstream::check_health`].
pub type HealthCheck<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The future of [`Upstream::relay`].
pub type Relaying<'a> = Pin<Box<dyn Future<Output = Result<Relayed, OpenError>> + Send + 'a>>;

/// A WebSocket that the backend has accepted with the client's own handshake.
#[derive(Debug)]
pub struct Relayed {
    /// The backend's side.
    pub stream: Duplex,
    /// What the backend has already sent after its response.
    pub read_ahead: Bytes,
    /// The headers of its 101, without hop-by-hop ones.
    pub headers: HeaderMap,
    /// How it spells their names.
    pub spelling: Spelling,
}
/// The future of [`Upstream::ask`].
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Reply, OpenError>> + Send + 'a>>;

/// What the backend learns from the client's first request. The service floor has removed what must not be forwarded.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The route's prefix, which the URL's path replaces; a shared connection passes it on.
    pub prefix: String,
    /// The path after the route's prefix, as the client wrote it, often empty. It is appended to the URL's path.
    pub path: String,
    /// The application's own query pairs, joined by `&`, as the client wrote them: no `sid`, `t`, `j`, `b64`, `EIO`
    /// or `transport`.
    pub query: String,
    /// Headers to send: the client's, filtered, with `Host` as the client sent it and the forwarding headers added.
    /// A subprotocol offer stands here as `Sec-WebSocket-Protocol`.
    pub headers: HeaderMap,
    /// The client's address, as trusted proxies in front report it.
    pub client: RemoteAddress,
    /// The client's dialect, by its name in the configuration.
    pub dialect: &'static str,
    /// The client's transport.
    pub transport: Transport,
    /// The client's revision of Engine.IO, if it speaks Engine.IO.
    pub revision: Option<Revision>,
    /// How the client spells the headers' names.
    pub spelling: Spelling,
}

/// What the backend answered when it accepted.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// The backend's own session id, if its protocol has one.
    pub sid: Option<Sid>,
    /// The heartbeat that the backend announced, if its protocol has one.
    pub heartbeat: Option<Heartbeat>,
    /// The largest payload that the backend announced, in bytes.
    pub max_payload: Option<usize>,
    /// Headers to pass on to the client: `Set-Cookie` and others that are not hop-by-hop.
    pub headers: HeaderMap,
    /// The subprotocol that the backend chose.
    pub subprotocol: Option<HeaderValue>,
}

/// Why a link could not be opened; each variant gives the client a different response.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The backend refused: its status is one of [`Refused::STATUSES`].
    #[error("the upstream refused with status {}", .0.reply.status)]
    Refused(Box<Refused>),
    /// No address could be reached, or the connection broke: 502.
    #[error("the upstream is down")]
    Down(#[source] io::Error),
    /// The backend took longer than `connect_timeout` or `handshake_timeout`: 504.
    #[error("the upstream did not answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// The backend answered, but not in the configured protocol, and it did not refuse either: 502.
    #[error("the upstream violated its protocol: {0}")]
    Protocol(String),
    /// The backend's response has a header that is longer than 64 KiB, or has more than 500 lines: 502.
    #[error("the upstream's response header is larger than 64 KiB or 500 lines")]
    HeaderTooLarge,
    /// Each address has all the sessions that it may have: 503.
    #[error("all addresses of the upstream are full")]
    Full,
    /// This process has no file descriptors left for a connection, which is not the backend's fault: 503.
    #[error("no file descriptors left")]
    NoDescriptor(#[source] io::Error),
    /// The operating system returned no random bytes, for a key or an id; not the backend's fault: 500.
    #[error("the system's random source failed")]
    NoRandomness(#[source] getrandom::Error),
}

/// A session's back side. All methods are polled by the session's driver with one waker, never concurrently.
///
/// To send: [`poll_ready`](Self::poll_ready), then [`start_send`](Self::start_send), and after the last message of a
/// turn one [`poll_flush`](Self::poll_flush). Reading stops while the driver does not call
/// [`poll_next`](Self::poll_next): that is the back-pressure.
pub trait Link: Send {
    /// Returns whether one more message can be taken.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Takes one message; only after [`poll_ready`](Self::poll_ready) was ready.
    fn start_send(&mut self, message: Message) -> Result<(), LinkError>;

    /// Writes the taken messages to the socket.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Polls for the next message from the backend, or the link's end. It is not called again after
    /// an end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent>;

    /// Proves to a backend that is not being read that its client lives: an unsolicited pong.
    fn keep_alive(&mut self);

    /// Returns how many bytes wait in buffers of its own.
    fn held(&self) -> usize;

    /// Returns how many bytes of its session wait on a connection that it shares with others, which counts them itself.
    fn shared(&self) -> usize {
        0
    }

    /// Bounds how long the backend may read nothing while something waits for it, be it a pong. A shared connection has a
    /// rule of its own.
    fn set_stall_timeout(&mut self, _limit: Duration) {}

    /// Notes that the client moved to another transport; for information only.
    fn handle_transport(&mut self, _transport: Transport) {}

    /// Closes the link and flushes. Ready when nothing more can be done, with the number of messages of the backend
    /// that crossed the close and were lost. It is called again with the same closing until it is ready; the driver
    /// bounds the wait.
    fn poll_close(&mut self, cx: &mut Context<'_>, closing: &Closing) -> Poll<usize>;
}

/// An event of a link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The backend sent a message.
    Message(Message),
    /// The backend closed, or the connection broke (code 1006), violated the protocol (1002), or sent too much (1009).
    Closed(Closing),
    /// The backend read nothing for too long.
    Stalled,
}

/// The link is broken: nothing more can be sent. [`Link::poll_next`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the link is broken")]
pub struct LinkError;
