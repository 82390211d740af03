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
    /// A request that begins a session, or its WebSocket, failed.
    #[error("{request}")]
    Asked {
        /// Its method and path.
        request: String,
        /// What became of it.
        #[source]
        fault: Box<Self>,
    },
    /// A timeout.
    #[error("{0} took longer than {1:?}")]
    Slow(&'static str, Duration),
    /// A request got an unexpected status.
    #[error("{what} was answered {status}{}", quoted(body))]
    Status {
        /// Which request.
        what: &'static str,
        /// Its status.
        status: StatusCode,
        /// The beginning of its body, with escapes.
        body: String,
    },
    /// What came is not HTTP.
    #[error("the response is not HTTP")]
    NotHttp,
    /// The server closed the connection of a request.
    #[error("the server closed the connection before it responded")]
    Unanswered,
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
    #[error("the response is not Engine.IO: {}", or_empty(.0))]
    Malformed(String),
    /// A response can't be unpacked.
    #[error("the response has a content-encoding that cannot be read: {0}")]
    Encoding(String),
    /// The server speaks a different dialect.
    #[error("the response is not {dialect}: {}", or_empty(text))]
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
            Self::Asked { fault, .. } => fault.kind(),
            Self::Slow(what, _) => format!("{what} too slow").into(),
            Self::Status { what, status, .. } => format!("{what} answered {}", status.as_u16()).into(),
            Self::NotHttp => "not HTTP".into(),
            Self::Unanswered | Self::Broken(_) => "connection broken".into(),
            Self::Closed(closing) => format!("closed by the server{}", code_of(closing.as_ref())).into(),
            Self::Silent(_) => "no heartbeat".into(),
            Self::Malformed(_) => "not Engine.IO".into(),
            Self::Encoding(_) => "content-encoding".into(),
            Self::Foreign { dialect, .. } => format!("not {dialect}").into(),
            Self::Refused => "refused by Socket.IO".into(),
            Self::TooLarge { .. } => "messages too long".into(),
            Self::NoUpgrade => "no upgrade offered".into(),
            Self::Upgrade(fault) => format!("upgrade: {}", fault.kind()).into(),
        }
    }

    /// Adds which request failed, if the server was reached.
    pub(super) fn of(self, request: String) -> Self {
        if matches!(self, Self::Connect(_) | Self::Tls(_)) {
            return self;
        }
        Self::Asked { request, fault: Box::new(self) }
    }

    /// Returns what a user may do about the fault, if that is not obvious.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect(error) => Some(connect_hint(error)),
            Self::Tls(error) => tls_hint(error),
            Self::Asked { fault, .. } => fault.first_hint(),
            Self::Malformed(_) | Self::Foreign { .. } => Some(OTHER_DIALECT),
            Self::Refused => {
                Some("the application may want a cookie or a token (--header), or answers no echo (--events)")
            }
            Self::TooLarge { .. } => Some("lower --size"),
            Self::NoUpgrade => Some("use --transport polling, or allow WebSocket at the server"),
            Self::Upgrade(fault) if matches!(**fault, Self::Connect(_)) => fault.hint(),
            Self::Upgrade(_) => Some(
                "check that each proxy on the way passes WebSocket handshakes, to the server that has the session",
            ),
            Self::Slow(..)
            | Self::Status { .. }
            | Self::NotHttp
            | Self::Unanswered
            | Self::Broken(_)
            | Self::Closed(_)
            | Self::Silent(_)
            | Self::Encoding(_) => None,
        }
    }

    /// Returns what a user may do about a session whose first request failed: the address or an option may be wrong.
    fn first_hint(&self) -> Option<&'static str> {
        match self {
            Self::Status { status, .. } => Some(status_hint(*status)),
            Self::Slow(..) => {
                Some("something accepts connections there and does not respond: check host and port")
            }
            Self::NotHttp | Self::Unanswered | Self::Broken(_) => {
                Some("check the port; one with TLS needs https or wss")
            }
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Asked { .. }
            | Self::Closed(_)
            | Self::Silent(_)
            | Self::Malformed(_)
            | Self::Encoding(_)
            | Self::Foreign { .. }
            | Self::Refused
            | Self::TooLarge { .. }
            | Self::NoUpgrade
            | Self::Upgrade(_) => self.hint(),
        }
    }
}

fn connect_hint(error: &io::Error) -> &'static str {
    if is_out_of_files(error) {
        return "this process may open no more files: raise `ulimit -n`; a polling session needs two";
    }
    if is_out_of_ports(error) {
        return "no port is free, or --source is no address of this machine: give several, such as \
             --source 127.0.0.2-127.0.0.9";
    }
    "check host and port, and that the server runs"
}

fn tls_hint(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidMessage(_) = error {
        return Some("the port may not speak TLS: try http or ws");
    }
    matches!(error, rustls::Error::InvalidCertificate(_)).then_some(
        "the certificate must name the URL's host and come from an authority of the system, or of --ca FILE",
    )
}

/// Returns what may be wrong if the first request gets this status.
fn status_hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => {
            "check the path: that of Socket.IO is /socket.io/, and that of SockJS is the URL that clients are given"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "add the cookie, token or origin that the server wants: --header \"Origin: https://example.org\""
        }
        StatusCode::TOO_MANY_REQUESTS => "the server limits its clients: lower --connect-rate",
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            "a proxy answers so when its backend is down or slow: see its log"
        }
        StatusCode::SERVICE_UNAVAILABLE => "a full or draining Polliwog answers 503: see max_sessions",
        status if status.is_redirection() => {
            "redirects are not followed: give the URL that this one leads to"
        }
        status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => "see the server's log",
        _ => OTHER_DIALECT,
    }
}

/// Returns a body behind a status, if there is one.
fn quoted(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(" \"{body}\"") }
}

fn or_empty(text: &str) -> &str {
    if text.is_empty() { "it is empty" } else { text }
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

const OTHER_DIALECT: &str = "the path may belong to something else: check it, --dialect and --eio";
