//! How a session begins, and how it is treated.

use std::sync::Arc;
use std::time::Duration;

use super::SockJs;
use super::frames::encoded_len;
use super::framing::why;
use super::query::application_query;
use crate::dialect::websocket::{self, PlainFraming};
use crate::dialect::{Beginning, Framing, Identity, Request};
use crate::packet::{Heartbeat, Packet, Transport};
use crate::revision::Protocol;
use crate::session::{Acks, Attendance, Binary, HangUp, Pinger, Policy, Pushes, Second};

impl SockJs {
    /// Returns a session that begins with a receiver, under the id that its client made.
    pub(super) fn begin_http(&self, framing: Arc<dyn Framing>, request: &Request<'_>) -> Beginning {
        let attendance = Attendance {
            beat: self.settings.heartbeat,
            absence: self.settings.disconnect_delay,
            is_heard: false,
        };
        let transport = if framing.streams() { Transport::Streaming } else { Transport::Polling };
        let mut beginning = beginning(framing, request, transport, Pinger::Nobody(attendance));
        beginning.policy.remembered = attendance.absence;
        beginning
    }

    /// Returns a session that is a WebSocket: it has an id of ours, since two of them may name the same.
    pub(super) fn begin_web_socket(&self, framing: Arc<dyn Framing>, request: &Request<'_>) -> Beginning {
        let pace = Heartbeat { interval: self.settings.heartbeat, timeout: PONG_TIMEOUT };
        let pace = Some(pace).filter(|pace| !pace.interval.is_zero());
        Beginning { pace, ..beginning(framing, request, Transport::WebSocket, Pinger::Server) }
    }

    /// Returns the application's own WebSocket.
    pub(super) fn begin_raw(&self, request: &Request<'_>) -> Beginning {
        Beginning {
            policy: websocket::POLICY,
            may_relay: self.backend.protocol != Protocol::Mux,
            query: request.head.uri.query().unwrap_or_default().to_owned(),
            ..beginning(Arc::new(PlainFraming), request, Transport::WebSocket, Pinger::Server)
        }
    }
}

fn beginning(
    framing: Arc<dyn Framing>,
    request: &Request<'_>,
    transport: Transport,
    pinger: Pinger,
) -> Beginning {
    Beginning {
        transport,
        framing,
        policy: Policy { pinger, ..POLICY },
        identity: match transport {
            Transport::Polling | Transport::Streaming => Identity::Clients,
            Transport::WebSocket => Identity::Ours,
        },
        cookie: None,
        query: application_query(request.head.uri.query().unwrap_or_default()),
        keeps_path: false,
        revision: None,
        pace: None,
        may_relay: false,
    }
}

/// How long a client may take for a pong.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);

const POLICY: Policy = Policy {
    hang_up: HangUp::Ends,
    second: Second::Refused,
    acks: Acks::OnWrite,
    pushes: Pushes::Queued,
    pinger: Pinger::Server,
    crossing: Duration::ZERO,
    echoes: ECHOES,
    companion: None,
    goodbye_waiting: &[Packet::Close(None)],
    goodbye_late: &[Packet::Close(None)],
    why: Some(why),
    remembered: Duration::ZERO,
    binary: Binary::AsText,
    replaced: &[],
    encoded_len,
};

/// A busy backend's echo takes no longer, and nobody notices the wait whose backend does not echo: a client has parked its poll
/// before it sends.
const ECHOES: Duration = Duration::from_millis(50);
