//! How a session begins, and its policy.

use std::sync::Arc;
use std::time::Duration;

use super::SockJs;
use super::frames::encoded_len;
use super::framing::why;
use super::query::application_query;
use super::settings;
use crate::dialect::websocket::{self, PlainFraming};
use crate::dialect::{Beginning, Framing, Identity, Request, Subprotocol};
use crate::packet::{Heartbeat, Packet, Transport};
use crate::revision::Protocol;
use crate::session::{Acks, Binary, HangUp, Liveness, Pinger, Policy, Pushes, Second};

impl SockJs {
    /// Returns the beginning of a session with a receiver, under the id that its client chose.
    pub(super) fn begin_http(&self, framing: Arc<dyn Framing>, request: &Request<'_>) -> Beginning {
        let liveness = Liveness {
            beat: self.settings.heartbeat,
            absence: self.settings.disconnect_delay,
            is_heard: false,
        };
        let transport = if framing.streams() { Transport::Streaming } else { Transport::Polling };
        let mut beginning = self.beginning(framing, request, transport, Pinger::Nobody(liveness));
        beginning.policy.remembered = liveness.absence;
        beginning
    }

    /// Returns the beginning of a session on a WebSocket. Its id is generated here, since two clients may choose the
    /// same.
    pub(super) fn begin_web_socket(&self, framing: Arc<dyn Framing>, request: &Request<'_>) -> Beginning {
        let pace = Heartbeat { interval: self.settings.heartbeat, timeout: PONG_TIMEOUT };
        let pace = Some(pace).filter(|pace| !pace.interval.is_zero());
        Beginning { pace, ..self.beginning(framing, request, Transport::WebSocket, Pinger::Server) }
    }

    /// Returns the application's own WebSocket.
    pub(super) fn begin_raw(&self, request: &Request<'_>) -> Beginning {
        Beginning {
            policy: websocket::POLICY,
            may_relay: self.backend.protocol != Protocol::Mux,
            query: request.head.uri.query().unwrap_or_default().to_owned(),
            subprotocol: Subprotocol::Clients,
            ..self.beginning(Arc::new(PlainFraming), request, Transport::WebSocket, Pinger::Server)
        }
    }

    fn to_clients(&self) -> Binary {
        match self.settings.binary {
            settings::Binary::Text => Binary::AsText,
            settings::Binary::Base64 | settings::Binary::Base64Both => Binary::AsBase64,
        }
    }

    fn beginning(
        &self,
        framing: Arc<dyn Framing>,
        request: &Request<'_>,
        transport: Transport,
        pinger: Pinger,
    ) -> Beginning {
        Beginning {
            transport,
            framing,
            policy: Policy { pinger, binary: self.to_clients(), ..POLICY },
            identity: match transport {
                Transport::Polling | Transport::Streaming => Identity::Clients,
                Transport::WebSocket => Identity::Ours,
            },
            cookie: None,
            query: application_query(request.head.uri.query().unwrap_or_default()),
            keeps_path: false,
            // The protocol has none, so its clients neither offer one nor expect one in a 101.
            subprotocol: Subprotocol::Routes(self.settings.subprotocol.clone()),
            revision: None,
            pace: None,
            may_relay: false,
        }
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
    piggyback: None,
    goodbye_waiting: &[Packet::Close(None)],
    goodbye_late: &[Packet::Close(None)],
    why: Some(why),
    remembered: Duration::ZERO,
    binary: Binary::AsText,
    replaced: &[],
    encoded_len,
};

/// The echo of a busy backend takes no longer. If a backend does not echo, the wait goes unnoticed, because a client
/// parks its poll before it sends.
const ECHOES: Duration = Duration::from_millis(50);
