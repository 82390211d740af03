//! Engine.IO as its clients speak it: protocol 4 (Socket.IO 3 and 4), and protocol 3 (Socket.IO 1 and 2).

mod framing;
mod head;
mod keys;
mod query;
mod reply;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use self::framing::EngineIoFraming;
pub(super) use self::keys::KEYS;
pub use self::settings::{Cookie, Settings};
use super::{Act, Answered, Ask, Backend, Beginning, Dialect, Identity, Place, Request, SessionCookie, Want};
use crate::codec::engineio::{encoded_len, v3};
use crate::packet::{Message, Packet, Transport};
use crate::revision::{Protocol, Revision, Versions};
use crate::session::{Acks, Companion, HangUp, Pinger, Policy, Second};

/// The dialect `engine.io` of one route.
#[derive(Debug)]
pub struct EngineIo {
    settings: Settings,
    backend: Backend,
}

impl EngineIo {
    /// The name in the configuration.
    pub const NAME: &'static str = "engine.io";

    /// The dialect of a route with these settings and this backend.
    pub const fn new(settings: Settings, backend: Backend) -> Self {
        Self { settings, backend }
    }

    /// A session that begins so.
    fn beginning(&self, framing: EngineIoFraming, transport: Transport, query: &str) -> Beginning {
        let revision = framing.revision;
        Beginning {
            transport,
            framing: Arc::new(framing),
            policy: self.policy(revision),
            identity: match revision {
                // In Socket.IO 2 the id of the session is the client's id in the application, on both sides.
                Revision::V3 => Identity::Backends,
                Revision::V4 => Identity::Ours,
            },
            cookie: self.cookie(revision),
            query: query::application_query(query),
            revision: Some(revision),
            may_relay: self.backend.protocol == Protocol::EngineIo && self.backend.versions.has(revision),
        }
    }

    fn policy(&self, revision: Revision) -> Policy {
        let v4 = Policy {
            hang_up: HangUp::Ends,
            second: Second::Ends,
            acks: Acks::OnWrite,
            pinger: Pinger::Server,
            crossing: CROSSING,
            companion: None,
            goodbye_waiting: &[Packet::Close(None)],
            goodbye_late: &[Packet::Noop, Packet::Close(None)],
            says_why: false,
            replaced: &[],
            encoded_len,
        };
        match revision {
            Revision::V4 => v4,
            Revision::V3 => Policy {
                pinger: Pinger::Client,
                companion: self.backend.socket_io.then_some(CONNECTED),
                encoded_len: v3::encoded_len,
                ..v4
            },
        }
    }

    /// The cookie that the client's own server would set.
    fn cookie(&self, revision: Revision) -> Option<SessionCookie> {
        let is_old = self.backend.protocol == Protocol::EngineIo
            && self.backend.versions == Versions { v3: true, v4: false };
        let is_set = match self.settings.cookie {
            Cookie::Off => false,
            Cookie::On => true,
            Cookie::Auto => revision == Revision::V3 && is_old,
        };
        // Servers of each version say it as often as this.
        let (attributes, always) = match revision {
            Revision::V3 => ("Path=/; HttpOnly; SameSite=Strict", true),
            Revision::V4 => ("Path=/; HttpOnly; SameSite=Lax", false),
        };
        is_set.then_some(SessionCookie { name: "io", attributes, always })
    }
}

impl Dialect for EngineIo {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn read<'h>(&self, request: &Request<'h>) -> Result<Ask<'h>, Box<Answered>> {
        head::read(request, self.settings, |framing, transport, query| {
            self.beginning(framing, transport, query)
        })
    }

    fn judge(&self, want: Want, place: &Place<'_>) -> Result<Act, Box<Answered>> {
        head::judge(want, place)
    }

    fn begin(&self, query: &str) -> Option<Beginning> {
        let framing = EngineIoFraming::new(self.backend.versions.newest());
        Some(self.beginning(framing, Transport::Polling, query))
    }
}

/// A poll that its client has sent is taken sooner; and a goodbye without one is in no hurry.
const CROSSING: Duration = Duration::from_millis(4);
/// A server of Socket.IO 2 connects its client to the root in the handshake's answer (`initialPacket` in its source). The
/// patience is more than such a backend needs on a busy machine, and less than the round trip that it saves.
const CONNECTED: Companion = Companion {
    is_it: |packet| matches!(packet, Packet::Message(Message::Text(text)) if text.as_bytes().as_ref() == b"0"),
    patience: Duration::from_millis(50),
};
