//! Kind `engine.io`: an Engine.IO 4 client that speaks WebSocket only, as the stock client does with that transport.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Method;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::codec::engineio::{Frame, OpenPacket, decode_text, encode_frame};
use crate::duplex::Buffers;
use crate::packet::{Closing, Message, Packet, Text};
use crate::sid::Sid;
use crate::upstream::ask::{Question, ask};
use crate::upstream::dial::{Deadline, Dialer};
use crate::upstream::forward::{Forwarder, Source};
use crate::upstream::handshake::{Accepted, First, Terms};
use crate::upstream::socket::{self, Incoming, Socket};
use crate::upstream::{
    Asking, BuildError, Heartbeat, Host, Link, LinkError, LinkEvent, OpenError, OpenRequest, Opened, Opening,
    Protocol, Refused, Refuser, Relaying, Settings, Upstream,
};

/// An Engine.IO server.
#[derive(Debug)]
pub(super) struct EngineIo {
    dialer: Arc<Dialer>,
    forwarder: Forwarder,
    settings: Settings,
}

impl EngineIo {
    pub(super) fn new(
        settings: &Settings,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, BuildError> {
        let dialer = Dialer::new(settings, tracker.clone(), cancel.clone())?;
        let forwarder = Forwarder::new(Source::Dialer(Arc::clone(&dialer)), settings, tracker, cancel);
        Ok(Self { dialer, forwarder, settings: settings.clone() })
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        let terms = terms(self.settings.host, self.settings.max_message);
        let opened = match self.dialer.open(request, &terms, deadline).await {
            Ok(accepted) => deadline.bound(begin(accepted, self.settings.max_message)).await.flatten(),
            Err(error) => Err(error),
        };
        opened.map_err(|error| match error {
            OpenError::Refused(refused) => {
                OpenError::Refused(Box::new(Refused { by: Refuser::EngineIo, ..*refused }))
            }
            OpenError::Down(_) | OpenError::Slow(_) | OpenError::Protocol(_) | OpenError::NoRandomness(_) => {
                error
            }
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

    fn relay(&self, request: OpenRequest) -> Relaying<'_> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        Box::pin(self.dialer.relay(request, self.settings.host, deadline))
    }

    fn ask(&self, request: OpenRequest, method: Method) -> Option<Asking<'_>> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        // As a polling client, for whom alone a server has such answers.
        let query = "EIO=4&transport=polling";
        let question = Question { request, method, query, host: self.settings.host };
        Some(Box::pin(ask(&self.dialer, question, deadline)))
    }

    fn is_down(&self) -> bool {
        self.dialer.is_down()
    }
}

/// How an Engine.IO server is asked for a WebSocket.
pub(super) fn terms(host: Host, message_max: usize) -> Terms {
    // A text frame has the packet's type before the message, and there must be room for the open packet.
    let message_max = message_max.saturating_add(1).max(OPEN_PACKET_LEN_MAX);
    let (query, buffers) = ("EIO=4&transport=websocket", Buffers::Small);
    Terms { host, query, message_max, buffers, first: First::Server }
}

/// Waits for the open packet, with which the session begins.
pub(super) async fn begin(
    accepted: Accepted,
    message_max: usize,
) -> Result<(Opened, Box<dyn Link>), OpenError> {
    let Accepted { mut socket, headers, subprotocol } = accepted;
    let text = match std::future::poll_fn(|cx| socket.poll_next(cx)).await {
        Incoming::Text(text) => text,
        Incoming::Binary(_) => return Err(protocol("its first packet is binary")),
        Incoming::Closed(closing) if closing == socket::LOST => {
            return Err(OpenError::Down(std::io::ErrorKind::UnexpectedEof.into()));
        }
        // Some servers refuse only now: with a Close frame, or with a piece of HTTP where a frame should be.
        Incoming::Closed(_) => return Err(protocol("it closed instead of opening a session")),
    };
    let Ok(Packet::Open(json)) = decode_text(&text) else {
        return Err(protocol("its first packet is not an open packet"));
    };
    let open = OpenPacket::decode(&json)
        .ok_or_else(|| protocol("its open packet has no sid, or no heartbeat in milliseconds"))?;
    let heartbeat = Heartbeat { interval: open.ping_interval, timeout: open.ping_timeout };
    let opened = Opened {
        // A sid of foreign characters harms nobody: a client never meets it in this version of the protocol.
        sid: Sid::parse(&open.sid),
        heartbeat: Some(heartbeat),
        max_payload: open.max_payload,
        headers,
        subprotocol,
    };
    Ok((opened, Box::new(EngineIoLink { socket, pulse: Pulse::new(heartbeat), message_max })))
}

/// A packet as one WebSocket message.
fn frame(packet: &Packet) -> RawFrame {
    match encode_frame(packet) {
        Frame::Text(bytes) => socket::text_frame(bytes),
        Frame::Binary(bytes) => socket::binary_frame(bytes),
    }
}

fn protocol(fault: &str) -> OpenError {
    OpenError::Protocol(fault.to_owned())
}

#[derive(Debug)]
struct EngineIoLink {
    socket: Socket,
    /// Watches over the backend's heartbeat.
    pulse: Pulse,
    message_max: usize,
}

impl EngineIoLink {
    /// What a frame means to the session, if it means anything.
    fn handle_incoming(&mut self, cx: &mut Context<'_>, incoming: Incoming) -> Option<LinkEvent> {
        let packet = match incoming {
            Incoming::Closed(closing) => return Some(LinkEvent::Closed(closing)),
            Incoming::Binary(bytes) => Ok(Packet::Message(Message::Binary(bytes))),
            Incoming::Text(text) => decode_text(&text),
        };
        match packet {
            Ok(Packet::Message(message)) if message.len() > self.message_max => {
                Some(LinkEvent::Closed(self.socket.fail(cx, socket::TOO_BIG)))
            }
            Ok(Packet::Message(message)) => Some(LinkEvent::Message(message)),
            Ok(Packet::Ping(data)) => {
                // The next look at the socket writes it.
                self.socket.queue(frame(&Packet::Pong(data)));
                None
            }
            // They say nothing to a client that has but one transport.
            Ok(Packet::Pong(_) | Packet::Upgrade | Packet::Noop) => None,
            Ok(Packet::Close) => {
                self.socket.part(cx, None);
                Some(LinkEvent::Closed(Closing::default()))
            }
            Ok(Packet::Open(_)) | Err(_) => Some(LinkEvent::Closed(self.socket.fail(cx, socket::NONSENSE))),
        }
    }
}

impl Link for EngineIoLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_ready(cx)
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        self.socket.start_send(frame(&Packet::Message(message)))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_flush(cx)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        loop {
            let Poll::Ready(incoming) = self.socket.poll_next(cx) else {
                // Only where there is nothing to read a silence can be judged.
                ready!(self.pulse.poll_dead(cx));
                self.socket.give_up(cx);
                return Poll::Ready(LinkEvent::Closed(Closing::new(1006, "upstream ping timeout")));
            };
            self.pulse.hear();
            if let Some(event) = self.handle_incoming(cx, incoming) {
                return Poll::Ready(event);
            }
        }
    }

    fn keep_alive(&mut self) {
        self.socket.queue(frame(&Packet::Pong(Text::default())));
        // It puts off the backend's next ping, which must not be missed then.
        self.pulse.hear();
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _closing: &Closing) -> Poll<()> {
        // The stock client closes without a code, whatever the reason.
        self.socket.poll_close(cx, None)
    }
}

/// Notices when a backend that is being read has fallen silent.
#[derive(Debug)]
struct Pulse {
    /// From one sign of life to the moment when the next is overdue.
    period: Duration,
    heard: Instant,
    /// Never earlier than what it is set for, and often later than needed: it is moved when it rings, not when the backend
    /// says something.
    alarm: Pin<Box<Sleep>>,
}

impl Pulse {
    fn new(heartbeat: Heartbeat) -> Self {
        let period = heartbeat.interval + heartbeat.timeout;
        let heard = Instant::now();
        Self { period, heard, alarm: Box::pin(sleep_until(heard + period)) }
    }

    fn hear(&mut self) {
        self.heard = Instant::now();
    }

    fn poll_dead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            let due = self.heard + self.period;
            if (due..due + LATE).contains(&now) {
                return Poll::Ready(());
            }
            // Whoever comes long after the alarm was not reading: a pause says nothing about the backend.
            if now >= due {
                self.heard = now;
            }
            self.alarm.as_mut().reset(self.heard + self.period);
        }
    }
}

/// How late a driver that is reading can be.
const LATE: Duration = Duration::from_secs(1);
/// Its few fields take some 150 bytes.
const OPEN_PACKET_LEN_MAX: usize = 4096;
