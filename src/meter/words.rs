//! The closed sets of label values: nothing that a client sends can create a new series.

pub use crate::end::End as CloseReason;
pub use crate::packet::Transport;

/// Defines an enum whose variants know their label value.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$meaning])* $variant,)+
        }

        impl $name {
            /// Every variant, in the order of its declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the label's value.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

pub(super) use words;

words! {
    /// The outcome of a handshake.
    Outcome {
        /// Counts a session that was opened.
        Accepted = "accepted",
        /// The upstream refused it.
        Refused = "refused",
        /// The upstream could not be reached, or did not speak its protocol.
        Down = "down",
        /// The upstream did not answer in time.
        Slow = "slow",
        /// The limit on sessions was reached.
        Full = "full",
        /// Its client has too many sessions, or began too many in a short time.
        Limited = "limited",
        /// Buffers take nearly all of their budget.
        Memory = "memory",
        /// The proxy is about to stop.
        Draining = "draining",
        /// The origin may not connect to this route.
        Forbidden = "forbidden",
        /// The client may not come in.
        Unauthorized = "unauthorized",
        /// Nobody could say whether the client may come in.
        AuthFailed = "auth_failed",
        /// The proxy failed internally.
        Failed = "failed",
    }
}

words! {
    /// A limit that was reached, by its key in the configuration.
    Limit {
        /// Connections in all.
        MaxConnections = "max_connections",
        /// Connections of one client.
        ClientConnections = "client_connections",
        /// Sessions of one client.
        ClientSessions = "client_sessions",
        /// Handshakes in all.
        Handshakes = "handshakes_per_second",
        /// Handshakes of one client.
        ClientHandshakes = "client_handshakes_per_second",
        /// Messages of one session, or their bytes.
        Messages = "messages_per_second",
        /// Bytes in all buffers.
        MemoryMax = "memory_max",
        /// Connections from addresses that a listener does not let in.
        Deny = "deny",
        /// Tunnels in all.
        MaxTunnels = "max_tunnels",
        /// Tunnels of one client.
        ClientTunnels = "client_tunnels",
        /// Forwarded requests of one client at once.
        ClientRequests = "client_requests",
        /// Forwarded requests at once, of a route or to an upstream.
        MaxRequests = "max_requests",
        /// The length of a forwarded request's body.
        MaxBody = "max_body",
        /// The rate of a request's body.
        MinBodyRate = "min_body_rate",
        /// The time of a request's body.
        BodyTimeout = "body_timeout",
        /// The time of a TLS handshake.
        TlsTimeout = "tls_timeout",
        /// The time of a request's header.
        HeaderTimeout = "header_timeout",
        /// The length of a request's header.
        HeaderMax = "header_max",
        /// The lines of a request's header.
        HeaderLines = "header_lines",
        /// The length of a request's target.
        TargetMax = "target_max",
    }
}

words! {
    /// A log of the process.
    LogName {
        /// What goes to the standard error.
        Log = "log",
        /// The access log.
        Access = "access",
    }
}

words! {
    /// What became of a reload of the configuration.
    Reload {
        /// The new one is in force.
        Done = "done",
        /// The one before stays.
        Refused = "refused",
    }
}

words! {
    /// What became of the order of a certificate.
    CertificateOrder {
        /// It was issued.
        Done = "done",
        /// It was not, and is ordered again later.
        Failed = "failed",
    }
}

words! {
    /// The HTTP of a connection.
    Protocol {
        /// Requests come one after the other.
        Http1 = "http/1.1",
        /// Each request is a stream.
        Http2 = "http/2",
    }
}

words! {
    /// The state of an upstream's address.
    AddressState {
        /// Sessions are sent there.
        Up = "up",
        /// It failed, and is probed.
        Out = "out",
        /// It has said that it stops, or its host's name no longer has it; some connections may be left.
        Draining = "draining",
    }
}

words! {
    /// The stages of an upgrade from polling to WebSocket.
    UpgradeOutcome {
        /// A probe was opened.
        Tried = "tried",
        /// The session moved.
        Done = "done",
        /// The probe ended before the session moved.
        Failed = "failed",
    }
}

words! {
    /// The outcome of a check of an upstream's address.
    Checked {
        /// It answered as it should.
        Passed = "passed",
        /// It did not.
        Failed = "failed",
    }
}

words! {
    /// The end of a session's wait for a place at a full upstream.
    Queued {
        /// It got one.
        Served = "served",
        /// The line was too long already.
        Refused = "refused",
        /// It took too long.
        TimedOut = "timed_out",
        /// The client did not wait any longer.
        Left = "left",
    }
}

words! {
    /// Why a forwarded response or a tunnel ended early.
    Broken {
        /// The client disconnected.
        ClientGone = "client_gone",
        /// The backend disconnected.
        UpstreamClosed = "upstream_closed",
        /// One side read nothing for `stall_timeout`.
        Stalled = "stalled",
        /// What permitted the client to come in has expired.
        Expired = "expired",
    }
}

words! {
    /// What a request asks for.
    Op {
        /// To fetch packets.
        Poll = "poll",
        /// To fetch packets through a response that streams.
        Stream = "stream",
        /// To send packets.
        Push = "push",
        /// To begin a session by polling.
        Handshake = "handshake",
        /// To begin a session by a stream.
        StreamHandshake = "handshake",
        /// To begin a session with a WebSocket.
        SocketHandshake = "handshake",
        /// To become a WebSocket.
        Upgrade = "upgrade",
        /// To be forwarded: the backend responds itself.
        Forward = "forward",
        /// Something else.
        Other = "other",
    }
}

impl Op {
    /// Returns the transport that the request belongs to.
    pub const fn transport(self) -> Option<Transport> {
        match self {
            Self::Poll | Self::Push | Self::Handshake => Some(Transport::Polling),
            Self::Stream | Self::StreamHandshake => Some(Transport::Streaming),
            Self::SocketHandshake | Self::Upgrade => Some(Transport::WebSocket),
            Self::Forward | Self::Other => None,
        }
    }
}

words! {
    /// Which way a message went.
    Direction {
        /// From the client to the upstream.
        FromClient = "from_client",
        /// From the upstream to the client.
        ToClient = "to_client",
    }
}

words! {
    /// Which side of a request between two nodes this one is.
    Side {
        /// A client of this node asks for a session of the other.
        Asker = "asker",
        /// A client of the other asks for a session of this node.
        Owner = "owner",
    }
}

words! {
    /// What became of a request between two nodes.
    Asked {
        /// The owner has responded.
        Answered = "answered",
        /// There is no such node, or not that start of it.
        Unknown = "unknown",
        /// The owner could not be reached, or refused.
        Unreachable = "unreachable",
        /// The client disconnected before there was a response.
        HungUp = "hung_up",
        /// The connection between the nodes broke, or the owner had no response.
        Lost = "lost",
    }
}

words! {
    /// What is known of another node.
    PeerState {
        /// It is connected.
        Up = "up",
        /// It is not connected, and nothing speaks against it.
        Idle = "idle",
        /// It could not be reached, or its connection broke.
        Down = "down",
        /// It drains.
        Leaving = "leaving",
    }
}

words! {
    /// What the directory is asked.
    DirectoryOp {
        /// Which node has an id.
        Find = "find",
        /// To enter an id for this node.
        Claim = "claim",
        /// What keeps it up to date: which nodes there are, and which ids they have.
        Keep = "keep",
    }
}

words! {
    /// What became of it.
    DirectoryOutcome {
        /// It has answered.
        Answered = "answered",
        /// It has answered, and may have forgotten something.
        Unsure = "unsure",
        /// It was down, or has not answered in time.
        Failed = "failed",
    }
}

words! {
    /// Which way bytes between two nodes go.
    Way {
        /// From this node.
        Sent = "sent",
        /// To this node.
        Received = "received",
    }
}

/// A status as a label: the codes that a route is known to answer, and the class of each other (`status=~"5.."` finds all).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Status(usize);

impl Status {
    /// The number of labels.
    pub(super) const COUNT: usize = CODES.len() + CLASSES.len();

    /// Creates the label of a status code.
    pub(super) fn of(code: u16) -> Self {
        CODES.iter().position(|(known, _)| *known == code).map_or_else(
            || {
                let class = usize::from(code / 100);
                Self(CODES.len() + if (1..=5).contains(&class) { class - 1 } else { CLASSES.len() - 1 })
            },
            Self,
        )
    }

    /// Returns its index among all of them.
    pub(super) const fn index(self) -> usize {
        self.0
    }

    /// Returns the label's value.
    pub(super) fn word(self) -> &'static str {
        CODES.get(self.0).map_or_else(|| CLASSES[self.0 - CODES.len()], |(_, word)| word)
    }
}

/// The most frequent first, since they are searched in this order.
const CODES: [(u16, &str); 15] = [
    (200, "200"),
    (101, "101"),
    (400, "400"),
    (204, "204"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (413, "413"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_of_a_few_labels() {
        assert_eq!(Status::of(200).word(), "200");
        assert_eq!(Status::of(504).word(), "504");
        assert_eq!(Status::of(418).word(), "4xx");
        assert_eq!(Status::of(599).word(), "5xx");
        assert_eq!(Status::of(0).word(), "other");
        assert_eq!(Status::of(u16::MAX).word(), "other");
        assert!((0..=u16::MAX).all(|code| Status::of(code).index() < Status::COUNT));
    }

    #[test]
    fn a_word_stands_at_the_index_of_its_variant() {
        assert!(CloseReason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
        assert_eq!(CloseReason::PingTimeout.word(), "ping_timeout");
    }
}
