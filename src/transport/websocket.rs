//! A client's WebSocket: packets in its frames.

use std::fmt;
use std::iter::Peekable;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::web_socket_ask::Upgrading;
use crate::bridge::{ClientSocket, SocketBroken, SocketEnd};
use crate::close;
use crate::dialect::{Framing, Read, Written};
use crate::duplex::{
    Buffers, Deflate, Farewell, Fault, Incoming, Savings, Violation, WebSocket, binary_frame, text_frame,
};
use crate::end::End;
use crate::frame::{self, Malformed};
use crate::frame_header::header_len;
use crate::meter::{Direction, Meter};
use crate::packet::{Closing, Message, Packet};
use crate::session::Packets;

/// Waits until the connection is a WebSocket.
pub async fn framed(
    upgrading: Upgrading,
    framing: Arc<dyn Framing>,
    max_payload: usize,
    deflate: Option<Deflate>,
    meter: Meter,
) -> Option<Box<dyn ClientSocket>> {
    let (duplex, read_ahead) = upgrading.stream().await?;
    // The session limits how long a client may stop reading messages. What else it does not read, such as a pong, its
    // connection's patience limits, which is that of its route.
    let mut socket = duplex.into_web_socket(read_ahead, Role::Server, max_payload, Buffers::Small);
    if let Some(deflate) = deflate {
        socket = socket.compressed(deflate, Some(Box::new(Saved(meter.clone()))));
    }
    let (waiting, goodbye) = (None, Goodbye::Unsaid);
    Some(Box::new(FramedSocket { socket, framing, meter, waiting, violation: None, goodbye }))
}

/// A WebSocket that carries packets in frames, in the client's framing.
struct FramedSocket {
    socket: WebSocket,
    framing: Arc<dyn Framing>,
    meter: Meter,
    /// Packets of a frame that were not taken yet: the next frame is read only after them.
    waiting: Option<Waiting>,
    /// What the client has done wrong.
    violation: Option<Violation>,
    goodbye: Goodbye,
}

/// A frame of several packets.
struct Waiting {
    packets: Peekable<Packets>,
    /// The length of the frame.
    len: usize,
    /// The payload of the packets that were taken.
    payload: usize,
}

/// Counts what compression saves.
#[derive(Debug)]
struct Saved(Meter);

impl Savings for Saved {
    fn saved(&self, bytes: usize) {
        self.0.compressed(bytes);
    }
}

enum Goodbye {
    Unsaid,
    Said,
    /// What still arrives can no longer be read as frames.
    Failed(Farewell),
}

impl FramedSocket {
    fn read(&mut self, incoming: Option<Result<Incoming, Fault>>) -> Option<Result<Packet, SocketEnd>> {
        let end = |end, closing| Some(Err(SocketEnd { end, closing }));
        let overhead =
            |len, payload| self.meter.frame(Direction::FromClient, header_len(len, true), len, payload);
        let (len, decoded) = match incoming {
            Some(Ok(Incoming::Message(Message::Text(text)))) => (text.len(), self.framing.decode_text(text)),
            Some(Ok(Incoming::Message(Message::Binary(bytes)))) => {
                (bytes.len(), self.framing.decode_binary(bytes))
            }
            // The WebSocket answers it, below Engine.IO.
            Some(Ok(Incoming::Ping(content))) => {
                let len = content.len();
                overhead(len, 0);
                self.meter.frame(Direction::ToClient, header_len(len, false), len, 0);
                return None;
            }
            Some(Ok(Incoming::Pong(content))) => {
                overhead(content.len(), 0);
                return self.framing.decode_pong().map(Ok);
            }
            Some(Ok(Incoming::Close(frame))) => {
                return end(End::ClientClosed, Some(close::from_frame(frame)));
            }
            Some(Err(Fault::Violation(violation))) => {
                self.violation = Some(violation);
                return match violation {
                    Violation::TooLarge => end(End::TooLarge, None),
                    Violation::Protocol | Violation::NotUtf8 | Violation::Malformed => {
                        end(End::ParseError, None)
                    }
                };
            }
            Some(Err(Fault::Stalled)) => return end(End::Stalled, None),
            Some(Err(Fault::Lost)) | None => return end(End::ClientGone, None),
        };
        match decoded {
            Ok(Read::One(packet)) => {
                overhead(len, packet.message_len());
                Some(Ok(packet))
            }
            Ok(Read::Many(packets)) => {
                self.waiting = Some(Waiting { packets: packets.peekable(), len, payload: 0 });
                self.next_waiting()
            }
            Err(Malformed) => end(End::ParseError, None),
        }
    }

    /// Takes the next packet of a frame that has several; with the last, its overhead is known.
    fn next_waiting(&mut self) -> Option<Result<Packet, SocketEnd>> {
        let waiting = self.waiting.as_mut()?;
        let packet = waiting.packets.next();
        waiting.payload += packet.iter().flatten().map(Packet::message_len).sum::<usize>();
        let Waiting { len, payload, .. } = *waiting;
        if waiting.packets.peek().is_none() {
            self.waiting = None;
            self.meter.frame(Direction::FromClient, header_len(len, true), len, payload);
        }
        let malformed = |Malformed| SocketEnd { end: End::ParseError, closing: None };
        packet.map(|packet| packet.map_err(malformed))
    }
}

impl FramedSocket {
    fn say_goodbye(&mut self, end: End, closing: &Closing) {
        // A malformed frame is reported in any dialect.
        let refusal =
            self.violation.map(|violation| CloseFrame { code: violation.code(), reason: "".into() });
        if refusal.is_none()
            && let Some(packet) = self.framing.packet_before_close(end, closing)
        {
            let _ = self.start_send(packet);
        }
        self.goodbye = if refusal.is_some() { Goodbye::Failed(Farewell::default()) } else { Goodbye::Said };
        let frame = refusal.or_else(|| close::to_frame(&self.framing.goodbye(end, closing)));
        // A client that closed first was already answered.
        let _ = self.socket.start_send(&Frame::close(frame));
    }
}

impl ClientSocket for FramedSocket {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        self.socket.poll_ready(cx).map_err(|_| SocketBroken)
    }

    fn broken(&mut self) -> End {
        if self.socket.get_mut().is_stalled() { End::Stalled } else { End::ClientGone }
    }

    fn start_send(&mut self, packet: Packet) -> Result<(), SocketBroken> {
        let frame = match self.framing.encode_frame(&packet) {
            Written::Frame(frame::Frame::Text(bytes)) => text_frame(bytes),
            Written::Frame(frame::Frame::Binary(bytes)) => binary_frame(bytes),
            Written::Ping => Frame::ping(Bytes::new()),
            Written::Nothing => return Ok(()),
        };
        let len = frame.payload().len();
        self.meter.frame(Direction::ToClient, header_len(len, false), len, packet.message_len());
        self.socket.start_send(&frame).map_err(|_| SocketBroken)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        self.socket.poll_flush(cx).map_err(|_| SocketBroken)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, SocketEnd>> {
        loop {
            if let Some(packet) = self.next_waiting() {
                return Poll::Ready(packet);
            }
            let incoming = ready!(self.socket.poll_next(cx));
            if let Some(read) = self.read(incoming) {
                return Poll::Ready(read);
            }
        }
    }

    fn set_message_max(&mut self, len_max: usize) {
        self.socket.set_message_max(len_max);
    }

    fn held(&self) -> usize {
        self.socket.held() + self.waiting.as_ref().map_or(0, |waiting| waiting.len)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<Option<Message>> {
        loop {
            match &mut self.goodbye {
                Goodbye::Unsaid => self.say_goodbye(end, closing),
                Goodbye::Said | Goodbye::Failed(_) if self.waiting.is_some() => {
                    if let Some(Ok(Packet::Message(message))) = self.next_waiting() {
                        return Poll::Ready(Some(message));
                    }
                }
                Goodbye::Said => {
                    let _ = self.socket.poll_flush(cx);
                    // The client's own Close frame or the end of its stream follows, perhaps before it reads our Close.
                    match ready!(self.socket.poll_next(cx)) {
                        incoming @ Some(Ok(_)) => {
                            if let Some(Ok(Packet::Message(message))) = self.read(incoming) {
                                return Poll::Ready(Some(message));
                            }
                        }
                        Some(Err(_)) => self.goodbye = Goodbye::Failed(Farewell::default()),
                        // Also to close TLS behind the Close frames.
                        None => {
                            let _ = ready!(self.socket.poll_flush(cx));
                            return Pin::new(self.socket.get_mut()).poll_shutdown(cx).map(|_| None);
                        }
                    }
                }
                Goodbye::Failed(farewell) => return farewell.poll(cx, &mut self.socket).map(|()| None),
            }
        }
    }
}

impl fmt::Debug for FramedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FramedSocket")
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::dialect::websocket::PlainFraming;
    use crate::duplex::Duplex;

    #[tokio::test(start_paused = true)]
    async fn the_stream_ends_behind_the_close_frames() {
        let (ours, mut theirs) = duplex(1000);
        let socket = Duplex::from(ours).into_web_socket(Bytes::new(), Role::Server, 1000, Buffers::Small);
        let mut socket = FramedSocket {
            socket,
            framing: Arc::new(PlainFraming),
            meter: Meter::default(),
            waiting: None,
            violation: None,
            goodbye: Goodbye::Unsaid,
        };
        theirs.write_all(b"\x88\x82mask\x6e\x89").await.unwrap();
        let closing = Closing::new(1000, "");
        assert_eq!(poll_fn(|cx| socket.poll_close(cx, End::Drained, &closing)).await, None);
        let mut read = Vec::new();
        // Before the socket is dropped, which would end a plain stream, too, but not TLS.
        let ended = timeout(Duration::from_secs(1), theirs.read_to_end(&mut read)).await;
        ended.expect("the stream ends").unwrap();
        assert_eq!(read.first(), Some(&0x88));
        drop(socket);
    }
}
