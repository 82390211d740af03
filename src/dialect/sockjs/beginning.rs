//! How a session begins.

use std::sync::Arc;
use std::time::Duration;

use super::SockJs;
use super::query::application_query;
use crate::dialect::websocket::PlainFraming;
use crate::dialect::{Beginning, Framing, Identity, Request, Subprotocol};
use crate::packet::{Heartbeat, Transport};
use crate::revision::Protocol;
use crate::session::Policy;

impl SockJs {
    /// Returns the beginning of a session with a receiver, under the id that its client chose.
    pub(super) fn begin_http(&self, framing: Arc<dyn Framing>, request: &Request<'_>) -> Beginning {
        let transport = if framing.streams() { Transport::Streaming } else { Transport::Polling };
        self.beginning(framing, request, transport, &self.policies.http)
    }

    /// Returns the beginning of a session on a WebSocket. Its id is generated here, since two clients may choose the
    /// same.
    pub(super) fn begin_web_socket(&self, framing: Arc<dyn Framing>, request: &Request<'_>) -> Beginning {
        let pace = Heartbeat { interval: self.settings.heartbeat, timeout: PONG_TIMEOUT };
        let pace = Some(pace).filter(|pace| !pace.interval.is_zero());
        let policy = &self.policies.web_socket;
        Beginning { pace, ..self.beginning(framing, request, Transport::WebSocket, policy) }
    }

    /// Returns the application's own WebSocket.
    pub(super) fn begin_raw(&self, request: &Request<'_>) -> Beginning {
        Beginning {
            may_relay: self.backend.protocol != Protocol::Mux,
            query: request.head.uri.query().unwrap_or_default().to_owned(),
            subprotocol: Subprotocol::Clients,
            ..self.beginning(Arc::new(PlainFraming), request, Transport::WebSocket, &self.policies.raw)
        }
    }

    fn beginning(
        &self,
        framing: Arc<dyn Framing>,
        request: &Request<'_>,
        transport: Transport,
        policy: &Arc<Policy>,
    ) -> Beginning {
        Beginning {
            transport,
            framing,
            policy: Arc::clone(policy),
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
