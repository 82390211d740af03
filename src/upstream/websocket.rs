//! Kind `websocket`: a plain WebSocket server. Text stays text, binary stays binary, close codes are passed on.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;

use crate::background::Background;
use crate::close;
use crate::duplex::{Buffers, binary_frame, text_frame};
use crate::meter::Dials;
use crate::packet::{Closing, Message};
use crate::upstream::deadline::Deadline;
use crate::upstream::dial::Dialer;
use crate::upstream::forward::Forwarder;
use crate::upstream::handshake::{Accepted, First, Terms};
use crate::upstream::socket::{Incoming, Socket};
use crate::upstream::{
    BuildError, Health, HealthCheck, Limits, Link, LinkError, LinkEvent, OpenError, OpenRequest, Opened,
    Opening, Protocol, Relaying, Settings, Sight, Upstream,
};

/// A plain WebSocket server.
#[derive(Debug)]
pub(super) struct WebSocket {
    dialer: Arc<Dialer>,
    forwarder: Forwarder,
    settings: Settings,
}

impl WebSocket {
    pub(super) fn new(settings: &Settings, background: Background, dials: Dials) -> Result<Self, BuildError> {
        let dialer = Dialer::new(settings, background.clone(), dials)?;
        dialer.start_checks(Some(terms(settings)));
        let forwarder = Forwarder::new(dialer.clone(), settings, background);
        Ok(Self { dialer, forwarder, settings: settings.clone() })
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        Ok(opened(self.dialer.open(request, &terms(&self.settings), deadline).await?.0))
    }
}

/// Returns what all handshakes with a plain WebSocket server share.
pub(super) const fn terms(settings: &Settings) -> Terms {
    Terms {
        host: settings.host,
        query: "",
        message_max: settings.max_message,
        buffers: Buffers::Small,
        deflate: settings.permessage_deflate,
        first: First::Anybody,
    }
}

/// Returns the link that results from a handshake.
pub(super) fn opened(accepted: Accepted) -> (Opened, Box<dyn Link>) {
    let opened = Opened { headers: accepted.headers, subprotocol: accepted.subprotocol, ..Opened::default() };
    (opened, Box::new(WebSocketLink { socket: accepted.socket }))
}

impl Upstream for WebSocket {
    fn open(&self, request: OpenRequest) -> Opening<'_> {
        Box::pin(self.open(request))
    }

    fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    fn protocol(&self) -> Protocol {
        Protocol::WebSocket
    }

    fn relay(&self, request: OpenRequest) -> Relaying<'_> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        Box::pin(self.dialer.relay(request, self.settings.host, deadline))
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

#[derive(Debug)]
struct WebSocketLink {
    socket: Socket,
}

impl Link for WebSocketLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_ready(cx)
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        self.socket.start_send(&match message {
            Message::Text(text) => text_frame(text.into_bytes()),
            Message::Binary(bytes) => binary_frame(bytes),
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_flush(cx)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        Poll::Ready(match ready!(self.socket.poll_next(cx)) {
            Incoming::Message(message) => LinkEvent::Message(message),
            Incoming::Closed(closing) => LinkEvent::Closed(closing),
            Incoming::Stalled => LinkEvent::Stalled,
        })
    }

    fn held(&self) -> usize {
        self.socket.held()
    }

    fn set_stall_timeout(&mut self, limit: Duration) {
        self.socket.set_stall_timeout(limit);
    }

    fn keep_alive(&mut self) {
        self.socket.queue(Frame::pong(Bytes::new()));
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, closing: &Closing) -> Poll<usize> {
        self.socket.poll_close(cx, close::to_frame(closing), |_| true)
    }
}
