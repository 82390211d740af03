//! How a link to a backend is made: one folder (or file) for each kind, and one line in [`build`].
//!
//! An [`Upstream`] is what the configuration names; opening it for one client gives a [`Link`], the session's back
//! side. A link carries messages both ways, answers the backend's heartbeat by itself, and says why it closed.

mod answer;
mod connector;
mod deadline;
#[cfg(feature = "demo")]
mod demo;
mod dial;
mod engineio;
mod failed;
mod forward;
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
mod question;
mod request_body;
mod settings;
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
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use crate::duplex::Duplex;
pub use crate::packet::Heartbeat;
use crate::packet::{Closing, Message, Transport};
use crate::reply::{Refused, Reply};
pub use crate::revision::Protocol;
use crate::revision::{Revision, Versions};
use crate::sid::Sid;
use crate::spelling::Spelling;
use crate::tls::TlsError;
pub use answer::{AnswerBody, AnswerError, Forwarded};
pub use forward::{ForwardError, ForwardRequest, Forwarder};
pub use in_use::InUse;
pub use kinds::build;
pub use mux::MuxSettings;
pub use pinned::{Pinned, is_login};
pub use settings::{Embedding, Host, Kind, Settings, Tls, is_secure, is_socket_io};

/// Why an upstream cannot be made from its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is nothing to dial.
    #[error("an upstream needs at least one URL")]
    NoUrl,
    /// The URL is not one that can be dialled.
    #[error("`{0}` is not a URL of the form ws://HOST[:PORT][/PATH], wss://..., http://... or https://...")]
    Url(http::Uri),
    /// The trusted authorities could not be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The kind is `demo`, and the demo was left out.
    #[error("this binary was built without the demo backend (cargo feature `demo`)")]
    #[cfg(not(feature = "demo"))]
    NoDemo,
}

/// A backend, or several of the same kind, that sessions can be opened to.
pub trait Upstream: Send + Sync + fmt::Debug {
    /// Opens a link for one client; it ends by its own deadline.
    fn open(&self, request: OpenRequest) -> Opening<'_>;

    /// Returns what the backend speaks, for a client that speaks the same: then the two are left to each other.
    fn protocol(&self) -> Protocol;

    /// Returns the revisions of Engine.IO that it speaks, where it speaks it.
    fn versions(&self) -> Versions {
        Versions::ALL
    }

    /// Returns whether it is a server of Engine.IO 3 alone, which has its own ways with browsers.
    fn is_old(&self) -> bool {
        self.protocol() == Protocol::EngineIo && self.versions() == Versions { v3: true, v4: false }
    }

    /// Returns whether the first thing that it says to a client is the session's id.
    fn tells_ids(&self) -> bool {
        self.protocol() == Protocol::EngineIo
    }

    /// Asks the backend for a WebSocket in the client's own words, and gives back the bare stream: handshake, extensions
    /// and frames are between the two.
    fn relay(&self, request: OpenRequest) -> Relaying<'_>;

    /// Puts a short question without a body to the backend, such as a browser's preflight; it ends by its own deadline.
    /// `None` where this kind has nothing to say to plain HTTP.
    fn ask(&self, _request: OpenRequest, _method: Method) -> Option<Asking<'_>> {
        None
    }

    /// Returns what asks the same server for anything else than a session.
    fn forwarder(&self) -> &Forwarder;

    /// Returns what is known of its addresses.
    fn health(&self) -> Health;

    /// Finds out whether it can be reached where that is not known; its caller bounds the wait.
    fn look(&self) -> Looking<'_> {
        Box::pin(std::future::ready(()))
    }

    /// Returns whether the last attempt failed to reach any of its addresses, and none has been reached since.
    #[cfg(test)]
    fn is_down(&self) -> bool {
        self.health() == Health::Down
    }

    /// The proxy is being stopped, and opens no session any more; the last of them ends within `patience`.
    fn drain(&self, _patience: Duration) {}
}

/// The future of [`Upstream::open`].
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<(Opened, Box<dyn Link>), OpenError>> + Send + 'a>>;

/// Whether an upstream can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Health {
    /// No address has been tried.
    #[default]
    Unknown,
    /// One of its addresses was reached when one was last tried.
    Up,
    /// None could be reached then.
    Down,
}

/// The future of [`Upstream::look`].
pub type Looking<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The future of [`Upstream::relay`].
pub type Relaying<'a> = Pin<Box<dyn Future<Output = Result<Relayed, OpenError>> + Send + 'a>>;

/// A WebSocket that the backend has accepted in its client's own words.
#[derive(Debug)]
pub struct Relayed {
    /// The backend's side.
    pub stream: Duplex,
    /// What the backend has sent behind its answer already.
    pub read_ahead: Bytes,
    /// The headers of its 101, less those about the hop.
    pub headers: HeaderMap,
    /// How it spells their names.
    pub spelling: Spelling,
}
/// The future of [`Upstream::ask`].
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Reply, OpenError>> + Send + 'a>>;

/// What the client's first request tells the backend. Made by the service floor, which has removed what must not cross.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The route's prefix, which the URL's path takes the place of; a shared connection passes it on.
    pub prefix: String,
    /// The path behind the route's prefix, as the client wrote it: often empty. It is appended to the URL's path.
    pub path: String,
    /// The application's own query pairs, joined by `&`, as the client wrote them: no `sid`, `t`, `j`, `b64`, `EIO`
    /// or `transport`.
    pub query: String,
    /// Headers to send: the client's, filtered, with `Host` as the client sent it and the forwarding headers added.
    /// A subprotocol offer stands here as `Sec-WebSocket-Protocol`.
    pub headers: HeaderMap,
    /// The client's address.
    pub client: SocketAddr,
    /// What the client speaks, by the name in the configuration.
    pub dialect: &'static str,
    /// What it comes on.
    pub transport: Transport,
    /// The revision of Engine.IO that it speaks, if it speaks it.
    pub revision: Option<Revision>,
    /// How the client spells the headers' names.
    pub spelling: Spelling,
}

/// What the backend said when it accepted.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// The backend's own session id, if its protocol has one.
    pub sid: Option<Sid>,
    /// The heartbeat that the backend announced, if its protocol has one.
    pub heartbeat: Option<Heartbeat>,
    /// The largest payload that the backend announced, in bytes.
    pub max_payload: Option<usize>,
    /// Headers to hand on to the client: `Set-Cookie` and what else is not about the hop.
    pub headers: HeaderMap,
    /// The subprotocol that the backend chose.
    pub subprotocol: Option<HeaderValue>,
}

/// Why a link could not be opened; each is another answer to the client.
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
    /// The backend answered, but not in the protocol that it was configured for, and did not refuse either: 502.
    #[error("the upstream violated its protocol: {0}")]
    Protocol(String),
    /// The backend's response has a header that is longer than 64 KiB, or has more than 500 lines: 502.
    #[error("the upstream's response header is larger than 64 KiB or 500 lines")]
    HeaderTooLarge,
    /// This process has no file descriptor left for a connection; no backend's fault: 503.
    #[error("no file descriptors left")]
    NoDescriptor(#[source] io::Error),
    /// The operating system gave no random bytes, for a key or an id; no backend's fault: 500.
    #[error("the system's random source failed")]
    NoRandomness(#[source] getrandom::Error),
}

/// A session's back side. All methods are polled by the session's driver with one waker, never concurrently.
///
/// To send: [`poll_ready`](Self::poll_ready), then [`start_send`](Self::start_send), and after the last of a turn one
/// [`poll_flush`](Self::poll_flush). Reading stops while the driver does not call [`poll_next`](Self::poll_next): that
/// is the back-pressure.
pub trait Link: Send {
    /// Returns whether one more message can be taken.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Takes one message; only after [`poll_ready`](Self::poll_ready) said yes.
    fn start_send(&mut self, message: Message) -> Result<(), LinkError>;

    /// Writes what was taken to the socket.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;

    /// Polls for the next message from the backend, or the link's end. After [`LinkEvent::Closed`] it is not called
    /// again.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent>;

    /// Proves to a backend that is not being read that its peer lives: an unsolicited pong.
    fn keep_alive(&mut self);

    /// Notes that the client moved to another transport. Informative.
    fn handle_transport(&mut self, _transport: &'static str) {}

    /// Says goodbye to the backend, flushes it and ends; ready when nothing more can be done, with how many messages of
    /// the backend's crossed the goodbye: nobody takes them.
    /// Called again with the same closing until it is ready; the driver bounds the wait.
    fn poll_close(&mut self, cx: &mut Context<'_>, closing: &Closing) -> Poll<usize>;
}

/// What comes out of a link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The backend sent a message.
    Message(Message),
    /// The backend closed, or the connection broke (code 1006), or it spoke nonsense (1002), or too much (1009).
    Closed(Closing),
}

/// The link is broken: nothing more can be sent. [`Link::poll_next`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the link is broken")]
pub struct LinkError;
