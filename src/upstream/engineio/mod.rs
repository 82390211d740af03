//! Kind `engine.io`: an Engine.IO client that only speaks WebSocket, like the stock client with that transport.

mod link;
mod pulse;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use self::link::EngineIoLink;
use crate::background::Background;
use crate::codec::engineio::{OpenPacket, decode_text};
use crate::duplex::Buffers;
use crate::meter::Dials;
use crate::packet::{Message, Packet, Text};
use crate::reply::{Refused, Refuser, Reply};
use crate::revision::{Revision, Versions};
use crate::sid::Sid;
use crate::upstream::deadline::Deadline;
use crate::upstream::dial::Dialer;
use crate::upstream::forward::Forwarder;
use crate::upstream::handshake::{Accepted, First, Terms};
use crate::upstream::short_request::{ShortRequest, ask};
use crate::upstream::socket::{self, Incoming};
use crate::upstream::{
    Asking, BuildError, Health, HealthCheck, Heartbeat, Introduction, Limits, Link, OpenError, OpenRequest,
    Opened, Opening, Protocol, Relaying, Settings, Sight, Upstream,
};

/// An Engine.IO server.
#[derive(Debug)]
pub(super) struct EngineIo {
    dialer: Arc<Dialer>,
    forwarder: Forwarder,
    settings: Settings,
}

impl EngineIo {
    pub(super) fn new(settings: &Settings, background: Background, dials: Dials) -> Result<Self, BuildError> {
        let dialer = Dialer::new(settings, background.clone(), dials)?;
        dialer.start_checks(Some(terms(settings.versions.newest(), settings)));
        let forwarder = Forwarder::new(dialer.clone(), settings, background);
        Ok(Self { dialer, forwarder, settings: settings.clone() })
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        let revision = negotiate(self.settings.versions, request.revision)?;
        let terms = terms(revision, &self.settings);
        let begin = |accepted| begin(accepted, revision, self.settings.max_message);
        let opened = self.dialer.open_with(request, &terms, deadline, begin).await;
        opened.map_err(|error| match error {
            OpenError::Refused(refused) => {
                let by = if self.settings.versions.v4 { Refuser::EngineIo } else { Refuser::EngineIo3 };
                OpenError::Refused(Box::new(Refused { by, ..*refused }))
            }
            OpenError::Down(_)
            | OpenError::Slow(_)
            | OpenError::Protocol(_)
            | OpenError::HeaderTooLarge
            | OpenError::Full
            | OpenError::NoDescriptor(_)
            | OpenError::NoRandomness(_) => error,
        })
    }
}

impl Upstream for EngineIo {
    fn open(&self, request: OpenRequest) -> Opening<'_> {
        Box::pin(self.open(request))
    }

    fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    fn protocol(&self) -> Protocol {
        Protocol::EngineIo
    }

    fn versions(&self) -> Versions {
        self.settings.versions
    }

    fn introduction(&self) -> Option<Introduction> {
        Some(introduction)
    }

    fn relay(&self, request: OpenRequest) -> Relaying<'_> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        Box::pin(self.dialer.relay(request, self.settings.host, deadline))
    }

    fn ask(&self, request: OpenRequest, method: Method) -> Option<Asking<'_>> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        // As a polling client: only those get such responses from a server.
        let query = match self.settings.versions.newest() {
            Revision::V3 => "EIO=3&transport=polling",
            Revision::V4 => "EIO=4&transport=polling",
        };
        let question = ShortRequest { request, method, query, host: self.settings.host };
        Some(Box::pin(ask(&self.dialer, question, deadline)))
    }

    fn health(&self) -> Health {
        self.dialer.health()
    }

    fn check_health(&self) -> HealthCheck<'_> {
        Box::pin(self.dialer.check_health())
    }

    fn sight(&self) -> Sight {
        self.dialer.sight()
    }

    fn limit(&self, limits: Limits) {
        self.dialer.limit(limits);
    }

    fn abandon(&self) {
        self.dialer.abandon();
    }
}

/// Returns the revision to ask for. If the backend does not speak the client's revision, returns the backend's own
/// refusal.
pub(super) fn negotiate(versions: Versions, client: Option<Revision>) -> Result<Revision, OpenError> {
    match client {
        Some(revision) if !versions.has(revision) => {
            let reply = Reply {
                status: StatusCode::BAD_REQUEST,
                headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html"))]),
                body: Bytes::from_static(b"Unsupported protocol version"),
            };
            Err(OpenError::Refused(Box::new(Refused { reply, by: Refuser::EngineIo })))
        }
        Some(revision) => Ok(revision),
        None => Ok(versions.newest()),
    }
}

/// Returns the parameters of a WebSocket request to an Engine.IO server.
pub(super) fn terms(revision: Revision, settings: &Settings) -> Terms {
    // A text frame has the packet's type before the message, and the open packet must fit too.
    let message_max = settings.max_message.saturating_add(1).max(OPEN_PACKET_LEN_MAX);
    let query = match revision {
        Revision::V3 => "EIO=3&transport=websocket",
        Revision::V4 => "EIO=4&transport=websocket",
    };
    Terms {
        host: settings.host,
        query,
        message_max,
        buffers: Buffers::Small,
        deflate: settings.permessage_deflate,
        first: First::Server,
    }
}

/// Waits for the open packet, with which the session begins.
pub(super) async fn begin(
    accepted: Accepted,
    revision: Revision,
    message_max: usize,
) -> Result<(Opened, Box<dyn Link>), OpenError> {
    let Accepted { mut socket, headers, subprotocol } = accepted;
    let text = match std::future::poll_fn(|cx| socket.poll_next(cx)).await {
        Incoming::Message(Message::Text(text)) => text,
        Incoming::Message(Message::Binary(_)) => return Err(protocol("its first packet is binary")),
        Incoming::Closed(closing) if closing == socket::LOST => {
            return Err(OpenError::Down(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Incoming::Stalled => return Err(OpenError::Down(std::io::ErrorKind::TimedOut.into())),
        // Some servers refuse only now: with a Close frame, or with HTTP where a frame is expected.
        Incoming::Closed(_) => return Err(protocol("it closed instead of opening a session")),
    };
    let open = open_packet(text).map_err(protocol)?;
    let heartbeat = heartbeat(&open);
    let opened = Opened { headers, subprotocol, ..opened(&open) };
    Ok((opened, Box::new(EngineIoLink::new(socket, revision, heartbeat, message_max))))
}

/// Reads a server's first message.
pub(super) fn introduction(text: &Text) -> Option<Opened> {
    open_packet(text.clone()).ok().as_ref().map(opened)
}

fn open_packet(text: Text) -> Result<OpenPacket, &'static str> {
    let Ok(Packet::Open(json)) = decode_text(text) else {
        return Err("its first packet is not an open packet");
    };
    OpenPacket::decode(&json).ok_or("its open packet has no sid, or no heartbeat in milliseconds")
}

fn opened(open: &OpenPacket) -> Opened {
    Opened {
        // A sid with unusual characters does no harm: the client gets one of ours.
        sid: Sid::parse(&open.sid),
        heartbeat: Some(heartbeat(open)),
        max_payload: open.max_payload,
        ..Opened::default()
    }
}

const fn heartbeat(open: &OpenPacket) -> Heartbeat {
    Heartbeat { interval: open.ping_interval, timeout: open.ping_timeout }
}

fn protocol(fault: &str) -> OpenError {
    OpenError::Protocol(fault.to_owned())
}

/// Its few fields take some 150 bytes.
const OPEN_PACKET_LEN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_open_packet_introduces_a_session() {
        let open =
            r#"0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}"#;
        let opened = introduction(&Text::from(open.to_owned())).unwrap();
        assert_eq!(opened.sid.as_ref().map(Sid::as_str), Some("abc"));
        assert_eq!(
            (opened.heartbeat.map(|beat| beat.timeout.as_secs()), opened.max_payload),
            (Some(20), Some(1000))
        );
        for other in ["", "0", "0{}", "4x", "2probe", r#"4{"sid":"abc"}"#] {
            assert!(introduction(&Text::from(other.to_owned())).is_none(), "{other}");
        }
    }
}
