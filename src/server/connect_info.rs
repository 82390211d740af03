//! What a service learns of the connection that it is made for.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::address::RemoteAddress;
use crate::duplex::{Patience, RawHeaders};
use crate::upstream::Pinned;

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub struct ConnectInfo {
    /// The other side of the socket: the client, or a proxy in front that does not say who its client is.
    pub peer: RemoteAddress,
    /// The name of the listener that accepted it.
    pub listener: Arc<str>,
    /// Whether TLS ends here.
    pub secure: bool,
    /// Whose certificate the client has shown, if it was asked for one and it was verified.
    pub subject: Option<Arc<HeaderValue>>,
    /// How long the client may stop reading. A service may set another limit.
    pub patience: Patience,
    /// Shows the header of the request with which the service is called.
    pub raw_headers: RawHeaders,
    /// The backend connections on which this client has logged in. They outlive the service, which may be made again while
    /// no request is under way.
    pub pinned: Pinned,
}

/// How long a client may stop reading a response until the request's route sets its own limit.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_mins(1);
