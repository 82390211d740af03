//! Why a session failed to begin or to continue, in words that help a user to fix it.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::packet::Closing;

/// What ended a session early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The connection could not be set up.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("TLS failed")]
    Tls(#[source] io::Error),
    /// A timeout.
    #[error("{0} took longer than {1:?}")]
    Slow(&'static str, Duration),
    /// A request got an unexpected status.
    #[error("{what} was answered {status} \"{body}\"")]
    Status {
        /// Which request.
        what: &'static str,
        /// Its status.
        status: StatusCode,
        /// The beginning of its body, with escapes.
        body: String,
    },
    /// The connection of a request or of a WebSocket was lost.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server ended the session.
    #[error("the server closed the session{}", code_of(.0.as_ref()))]
    Closed(Option<Closing>),
    /// No heartbeat came in time.
    #[error("no heartbeat for {0:?}")]
    Silent(Duration),
    /// The server violated the protocol.
    #[error("the response is not Engine.IO: {0}")]
    Malformed(String),
    /// The server speaks a different dialect.
    #[error("the response is not {dialect}: {text}")]
    Foreign {
        /// The expected dialect.
        dialect: &'static str,
        /// The beginning of the received data, with escapes.
        text: String,
    },
    /// The Socket.IO server refused the client.
    #[error("the Socket.IO server refused the namespace, or left it")]
    Refused,
    /// No message of this size may be sent.
    #[error("the messages are too long: the server accepts at most {payload_max} bytes")]
    TooLarge {
        /// The server's limit.
        payload_max: usize,
    },
    /// The server offers no WebSocket.
    #[error("the server offers no upgrade")]
    NoUpgrade,
    /// The upgrade to WebSocket failed.
    #[error("the upgrade failed")]
    Upgrade(#[source] Box<Self>),
}

impl Fault {
    /// Returns the words under which the fault is counted.
    pub(super) fn kind(&self) -> Cow<'static, str> {
        match self {
            Self::Connect(error) => connect_kind(error).into(),
            Self::Tls(_) => "TLS".into(),
            Self::Slow(what, _) => format!("{what} too slow").into(),
            Self::Status { what, status, .. } => format!("{what} answered {}", status.as_u16()).into(),
            Self::Broken(_) => "connection broken".into(),
            Self::Closed(closing) => format!("closed by the server{}", code_of(closing.as_ref())).into(),
            Self::Silent(_) => "no heartbeat".into(),
            Self::Malformed(_) => "not Engine.IO".into(),
            Self::Foreign { dialect, .. } => format!("not {dialect}").into(),
            Self::Refused => "refused by Socket.IO".into(),
            Self::TooLarge { .. } => "messages too long".into(),
            Self::NoUpgrade => "no upgrade offered".into(),
            Self::Upgrade(fault) => format!("upgrade: {}", fault.kind()).into(),
        }
    }

    /// Returns what a user may do about the fault, if that is not obvious.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect(error) if is_out_of_files(error) => {
                Some("this process may open no more files: raise `ulimit -n`; a polling session needs two")
            }
            Self::Connect(error) if is_out_of_ports(error) => {
                Some("no port is free: add source addresses, such as --source 127.0.0.2-127.0.0.9")
            }
            Self::Status { status, .. } if *status == StatusCode::NOT_FOUND => Some(
                "check the path: the defaults are /socket.io/ for Socket.IO and /engine.io/ for Engine.IO",
            ),
            Self::Status { status, .. } if *status == StatusCode::SERVICE_UNAVAILABLE => {
                Some("a full or draining Polliwog answers 503: see max_sessions")
            }
            Self::Upgrade(fault) => fault.hint(),
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Slow(..)
            | Self::Status { .. }
            | Self::Broken(_)
            | Self::Closed(_)
            | Self::Silent(_)
            | Self::Malformed(_)
            | Self::Foreign { .. }
            | Self::Refused
            | Self::TooLarge { .. }
            | Self::NoUpgrade => None,
        }
    }
}

fn code_of(closing: Option<&Closing>) -> String {
    closing.and_then(|closing| closing.code).map(|code| format!(" ({code})")).unwrap_or_default()
}

fn connect_kind(error: &io::Error) -> &'static str {
    if is_out_of_files(error) {
        return "no more files";
    }
    if is_out_of_ports(error) {
        return "no free port";
    }
    if error.kind() == io::ErrorKind::ConnectionRefused { "connection refused" } else { "cannot connect" }
}

/// `EMFILE` and `ENFILE`, which have no name in the standard library.
fn is_out_of_files(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// Returns whether a bind or a connect found no free port.
fn is_out_of_ports(error: &io::Error) -> bool {
    // An address that this machine doesn't have is `AddrNotAvailable` as well, and the two cannot be distinguished.
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}
