//! A session on an Engine.IO server.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;

use super::pulse::{Pinger, Pulse};
use crate::codec::engineio::{self, v3};
use crate::duplex::{binary_frame, text_frame};
use crate::frame::Frame;
use crate::packet::{Closing, Message, Packet, Text};
use crate::revision::Revision;
use crate::upstream::socket::{self, Incoming, Socket};
use crate::upstream::{Heartbeat, Link, LinkError, LinkEvent};

#[derive(Debug)]
pub(super) struct EngineIoLink {
    socket: Socket,
    revision: Revision,
    /// Watches the backend's heartbeat.
    pulse: Pulse,
    /// The heartbeat, if the client must send it (protocol 3).
    pinger: Option<Pinger>,
    message_max: usize,
}

impl EngineIoLink {
    pub(super) fn new(socket: Socket, revision: Revision, heartbeat: Heartbeat, message_max: usize) -> Self {
        let pinger = (revision == Revision::V3).then(|| Pinger::new(heartbeat.interval));
        Self { socket, revision, pulse: Pulse::new(heartbeat), pinger, message_max }
    }

    /// Returns the meaning of a frame for the session, if it has one.
    fn handle_incoming(&mut self, cx: &mut Context<'_>, incoming: Incoming) -> Option<LinkEvent> {
        let packet = match (incoming, self.revision) {
            (Incoming::Stalled, _) => return Some(LinkEvent::Stalled),
            (Incoming::Closed(closing), _) => return Some(LinkEvent::Closed(closing)),
            (Incoming::Message(Message::Binary(bytes)), Revision::V3) => v3::decode_binary(&bytes),
            (Incoming::Message(Message::Binary(bytes)), Revision::V4) => {
                Ok(Packet::Message(Message::Binary(bytes)))
            }
            (Incoming::Message(Message::Text(text)), Revision::V3) => v3::decode_text(text),
            (Incoming::Message(Message::Text(text)), Revision::V4) => engineio::decode_text(text),
        };
        match packet {
            Ok(Packet::Message(message)) if message.len() > self.message_max => {
                Some(LinkEvent::Closed(self.socket.fail(cx, socket::TOO_BIG)))
            }
            Ok(Packet::Message(message)) => Some(LinkEvent::Message(message)),
            Ok(Packet::Ping(data)) => {
                // The next poll of the socket writes it.
                self.queue(&Packet::Pong(data));
                None
            }
            // They mean nothing to a client with only one transport.
            Ok(Packet::Pong(_) | Packet::Upgrade | Packet::Noop) => None,
            Ok(Packet::Close(_)) => {
                self.socket.part(cx, None);
                Some(LinkEvent::Closed(Closing { by_packet: true, ..Closing::default() }))
            }
            Ok(Packet::Open(_)) | Err(_) => Some(LinkEvent::Closed(self.socket.fail(cx, socket::NONSENSE))),
        }
    }

    fn queue(&mut self, packet: &Packet) {
        let frame = self.frame(packet);
        self.socket.queue(frame);
    }

    /// Returns a packet as one WebSocket message.
    fn frame(&self, packet: &Packet) -> RawFrame {
        let frame = match self.revision {
            Revision::V3 => v3::encode_frame(packet),
            Revision::V4 => engineio::encode_frame(packet),
        };
        match frame {
            Frame::Text(bytes) => text_frame(bytes),
            Frame::Binary(bytes) => binary_frame(bytes),
        }
    }
}

impl Link for EngineIoLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_ready(cx)
    }

    fn start_send(&mut self, message: Message) -> Result<(), LinkError> {
        let frame = self.frame(&Packet::Message(message));
        self.socket.start_send(&frame)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.socket.poll_flush(cx)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent> {
        if self.pinger.as_mut().is_some_and(|pinger| pinger.poll_due(cx)) {
            self.queue(&Packet::Ping(Text::default()));
        }
        loop {
            let Poll::Ready(incoming) = self.socket.poll_next(cx) else {
                // Silence can only be judged if nothing is left to read.
                ready!(self.pulse.poll_dead(cx));
                self.socket.give_up(cx);
                return Poll::Ready(LinkEvent::Closed(Closing::new(1006, "upstream ping timeout")));
            };
            self.pulse.note_heard();
            if let Some(event) = self.handle_incoming(cx, incoming) {
                return Poll::Ready(event);
            }
        }
    }

    fn held(&self) -> usize {
        self.socket.held()
    }

    fn set_stall_timeout(&mut self, limit: Duration) {
        self.socket.set_stall_timeout(limit);
    }

    fn keep_alive(&mut self) {
        let beat = match self.revision {
            Revision::V3 => Packet::Ping(Text::default()),
            Revision::V4 => Packet::Pong(Text::default()),
        };
        self.queue(&beat);
        // It delays the backend's next ping, so that one must not be counted as overdue.
        self.pulse.note_heard();
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _closing: &Closing) -> Poll<usize> {
        // The stock client closes without a code, for any reason.
        self.socket.poll_close(cx, None, |text| text.starts_with(['4', 'b']))
    }
}
