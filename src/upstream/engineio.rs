//! Kind `engine.io`: an Engine.IO 4 client that speaks WebSocket only, as the stock client does with that transport.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::packet::{Closing, Message};
use crate::upstream::dial::{Deadline, Dialer};
use crate::upstream::engineio_packet::{self as packet, Open, Packet};
use crate::upstream::handshake::{Accepted, Terms};
use crate::upstream::socket::{self, Incoming, Socket};
use crate::upstream::{
    BuildError, Heartbeat, Host, Link, LinkError, LinkEvent, OpenError, OpenRequest, Opened, Opening,
    Settings, Upstream,
};

/// An Engine.IO server.
#[derive(Debug)]
pub(super) struct EngineIo {
    dialer: Arc<Dialer>,
    settings: Settings,
}

impl EngineIo {
    pub(super) fn new(
        settings: &Settings,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, BuildError> {
        Ok(Self { dialer: Dialer::new(settings, tracker, cancel)?, settings: settings.clone() })
    }

    async fn open(&self, request: OpenRequest) -> Result<(Opened, Box<dyn Link>), OpenError> {
        let deadline = Deadline::after(self.settings.handshake_timeout);
        let terms = terms(self.settings.host, self.settings.max_message);
        let accepted = self.dialer.open(request, &terms, deadline).await?;
        deadline.bound(begin(accepted, self.settings.max_message)).await.flatten()
    }
}

impl Upstream for EngineIo {
    fn open(&self, request: OpenRequest) -> Opening<'_> {
        Box::pin(self.open(request))
    }

    fn is_down(&self) -> bool {
        self.dialer.is_down()
    }
}

/// How an Engine.IO server is asked for a WebSocket.
pub(super) fn terms(host: Host, message_max: usize) -> Terms {
    // A text frame has the packet's type before the message, and there must be room for the open packet.
    let message_max = message_max.saturating_add(1).max(OPEN_PACKET_LEN_MAX);
    Terms { host, query: "EIO=4&transport=websocket", message_max }
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
    let Open { sid, heartbeat, max_payload } = packet::decode_open(&text).map_err(protocol)?;
    let link = EngineIoLink { socket, pulse: heartbeat.map(Pulse::new), message_max };
    Ok((Opened { sid, heartbeat, max_payload, headers, subprotocol }, Box::new(link)))
}

fn protocol(fault: &str) -> OpenError {
    OpenError::Protocol(fault.to_owned())
}

#[derive(Debug)]
struct EngineIoLink {
    socket: Socket,
    /// Watches over the backend's heartbeat, if it announced one.
    pulse: Option<Pulse>,
    message_max: usize,
}

impl EngineIoLink {
    /// What a frame means to the session, if it means anything.
    fn handle_incoming(&mut self, cx: &mut Context<'_>, incoming: Incoming) -> Option<LinkEvent> {
        let packet = match incoming {
            Incoming::Closed(closing) => return Some(LinkEvent::Closed(closing)),
            Incoming::Binary(bytes) => Some(Packet::Message(Message::Binary(bytes))),
            Incoming::Text(text) => packet::decode(&text),
        };
        match packet {
            Some(Packet::Message(message)) if message.len() > self.message_max => {
                Some(LinkEvent::Closed(self.socket.fail(cx, socket::TOO_BIG)))
            }
            Some(Packet::Message(message)) => Some(LinkEvent::Message(message)),
            Some(Packet::Ping(text)) => {
                // The next look at the socket writes it.
                self.socket.queue(socket::text_frame(packet::encode_pong(&text)));
                None
            }
            Some(Packet::Ignored) => None,
            Some(Packet::Close) => {
                self.socket.part(cx, None);
                Some(LinkEvent::Closed(Closing::default()))
            }
            None => Some(LinkEvent::Closed(self.socket.fail(cx, socket::NONSENSE))),
        }
    }
}

impl Link for EngineIoLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_ready(cx)
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        self.socket.start_send(match message {
            Message::Text(text) => socket::text_frame(packet::encode_message(&text)),
            Message::Binary(bytes) => socket::binary_frame(bytes),
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_flush(cx)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        loop {
            let Poll::Ready(incoming) = self.socket.poll_next(cx) else {
                // Only where there is nothing to read a silence can be judged.
                if let Some(pulse) = &mut self.pulse {
                    ready!(pulse.poll_dead(cx));
                    self.socket.give_up(cx);
                    return Poll::Ready(LinkEvent::Closed(Closing::new(1006, "upstream ping timeout")));
                }
                return Poll::Pending;
            };
            if let Some(pulse) = &mut self.pulse {
                pulse.hear();
            }
            if let Some(event) = self.handle_incoming(cx, incoming) {
                return Poll::Ready(event);
            }
        }
    }

    fn keep_alive(&mut self) {
        self.socket.queue(socket::text_frame(packet::PONG));
        // It puts off the backend's next ping, which must not be missed then.
        if let Some(pulse) = &mut self.pulse {
            pulse.hear();
        }
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
