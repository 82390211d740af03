//! The rules for sessions.

use std::sync::Arc;
use std::time::Duration;

use super::frames::encoded_len;
use super::framing::why;
use super::settings::{self, Settings};
use crate::dialect::websocket;
use crate::packet::Packet;
use crate::session::{Acks, Binary, HangUp, Liveness, Pinger, Policy, Pushes, Second};

/// The rules for each kind of session.
#[derive(Debug)]
pub(super) struct Policies {
    /// With receivers.
    pub(super) http: Arc<Policy>,
    /// On a WebSocket.
    pub(super) web_socket: Arc<Policy>,
    /// On a WebSocket without frames of SockJS.
    pub(super) raw: Arc<Policy>,
}

impl Policies {
    /// Returns those of a route with these settings.
    pub(super) fn new(settings: &Settings) -> Self {
        let absence = settings.disconnect_delay;
        let liveness = Liveness { beat: settings.heartbeat, absence, is_heard: false };
        let binary = match settings.binary {
            settings::Binary::Text => Binary::AsText,
            settings::Binary::Base64 | settings::Binary::Base64Both => Binary::AsBase64,
        };
        let web_socket = Policy { binary, ..POLICY };
        let http = Policy { pinger: Pinger::Nobody(liveness), remembered: absence, ..web_socket };
        Self { http: http.into(), web_socket: web_socket.into(), raw: websocket::POLICY.into() }
    }
}

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
