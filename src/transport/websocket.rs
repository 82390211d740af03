//! A client's WebSocket: packets in its frames.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message as Frame, protocol::frame::Frame as RawFrame};

use super::web_socket_ask::Upgrading;
use crate::bridge::{ClientSocket, SocketBroken, SocketEnd};
use crate::close;
use crate::codec::frames::header_len;
use crate::dialect::{Framing, Read, Written};
use crate::duplex::{
    Buffers, Deflate, DeflateFault, Farewell, Savings, Unwritten, WebSocket, binary_frame, text_frame,
};
use crate::end::End;
use crate::frame::{self, Malformed};
use crate::meter::{Direction, Meter};
use crate::packet::{Closing, Message, Packet, Text};

/// Waits until the connection is a WebSocket.
pub async fn framed(
    upgrading: Upgrading,
    framing: Arc<dyn Framing>,
    max_payload: usize,
    deflate: Option<Deflate>,
    meter: Meter,
) -> Option<Box<dyn ClientSocket>> {
    let (duplex, mut read_ahead) = upgrading.stream().await?;
    // From here on the session limits how long a client may stop reading.
    let mut duplex = duplex.with_patience(None);
    if let Some(deflate) = deflate {
        let savings = Box::new(Saved(meter.clone()));
        duplex = duplex.behind(std::mem::take(&mut read_ahead)).deflated(deflate, Some(savings));
    }
    let socket = duplex.into_web_socket(read_ahead, Role::Server, max_payload, Buffers::Small).await;
    Some(Box::new(FramedSocket {
        socket,
        framing,
        meter,
        waiting: VecDeque::new(),
        unwritten: Unwritten::default(),
        fault: None,
        goodbye: Goodbye::Unsaid,
        pings: 0,
    }))
}

/// A WebSocket that carries packets in frames, in the client's framing.
struct FramedSocket {
    socket: WebSocket,
    framing: Arc<dyn Framing>,
    meter: Meter,
    /// Packets of a frame that were not taken yet: the next frame is read only after them.
    waiting: VecDeque<Packet>,
    unwritten: Unwritten,
    /// The close code for the client's protocol error (RFC 6455, section 7.4.1).
    fault: Option<CloseCode>,
    goodbye: Goodbye,
    /// How many pings arrived since the last flush.
    pings: usize,
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
    fn read(&mut self, frame: Option<Result<Frame, Error>>) -> Option<Result<Packet, SocketEnd>> {
        let end = |end| Some(Err(SocketEnd { end, closing: None }));
        let len = frame.as_ref().and_then(|frame| frame.as_ref().ok()).map_or(0, Frame::len);
        let overhead = |payload| self.meter.frame(Direction::FromClient, header_len(len, true), len, payload);
        let decoded = match frame {
            Some(Ok(Frame::Text(text))) => self.framing.decode_text(Text::from_checked(Bytes::from(text))),
            Some(Ok(Frame::Binary(bytes))) => self.framing.decode_binary(bytes),
            // The library answers it, below Engine.IO.
            Some(Ok(Frame::Ping(_))) => {
                overhead(0);
                self.meter.frame(Direction::ToClient, header_len(len, false), len, 0);
                self.pings += 1;
                return None;
            }
            Some(Ok(Frame::Pong(_))) => {
                overhead(0);
                return self.framing.decode_pong().map(Ok);
            }
            Some(Ok(Frame::Frame(_))) => return None,
            Some(Ok(Frame::Close(frame))) => {
                let closing = Some(close::from_frame(frame));
                return Some(Err(SocketEnd { end: End::ClientClosed, closing }));
            }
            Some(Err(Error::Capacity(_))) => {
                self.fault = Some(CloseCode::Size);
                return end(End::TooLarge);
            }
            Some(Err(Error::Utf8(_))) => {
                self.fault = Some(CloseCode::Invalid);
                return end(End::ParseError);
            }
            Some(Err(Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )))
            | None => return end(End::ClientGone),
            Some(Err(Error::Protocol(_))) => {
                self.fault = Some(CloseCode::Protocol);
                return end(End::ParseError);
            }
            Some(Err(Error::Io(error))) => match error.get_ref().and_then(|error| error.downcast_ref()) {
                Some(fault) => {
                    self.fault = Some(match fault {
                        DeflateFault::Frame => CloseCode::Protocol,
                        DeflateFault::Content => CloseCode::Invalid,
                    });
                    return end(End::ParseError);
                }
                None => return end(End::ClientGone),
            },
            Some(Err(_)) => return end(End::ClientGone),
        };
        match decoded {
            Ok(Read::One(packet)) => {
                overhead(packet.message_len());
                Some(Ok(packet))
            }
            Ok(Read::Many(packets)) => {
                overhead(packets.iter().map(Packet::message_len).sum());
                self.waiting = packets.into();
                self.waiting.pop_front().map(Ok)
            }
            Err(Malformed) => end(End::ParseError),
        }
    }
}

impl FramedSocket {
    fn say_goodbye(&mut self, end: End, closing: &Closing) {
        // A malformed frame is reported in any dialect.
        let fault = self.fault.map(|code| CloseFrame { code, reason: "".into() });
        if fault.is_none()
            && let Some(packet) = self.framing.packet_before_close(end, closing)
        {
            let _ = self.start_send(packet);
        }
        self.goodbye = if fault.is_some() { Goodbye::Failed(Farewell::default()) } else { Goodbye::Said };
        let frame = fault.or_else(|| close::to_frame(&self.framing.goodbye(end, closing)));
        // A client that closed first was already answered.
        let _ = self.socket.start_send_unpin(Frame::Close(frame));
    }
}

impl ClientSocket for FramedSocket {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        ready!(self.socket.poll_ready_unpin(cx)).map_err(|_| SocketBroken)?;
        self.unwritten.note_room();
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, packet: Packet) -> Result<(), SocketBroken> {
        let frame = match self.framing.encode_frame(&packet) {
            Written::Frame(frame::Frame::Text(bytes)) => text_frame(bytes),
            Written::Frame(frame::Frame::Binary(bytes)) => binary_frame(bytes),
            Written::Ping => RawFrame::ping(Bytes::new()),
            Written::Nothing => return Ok(()),
        };
        let len = frame.payload().len();
        self.meter.frame(Direction::ToClient, header_len(len, false), len, packet.message_len());
        self.unwritten.add(len);
        self.socket.start_send_unpin(Frame::Frame(frame)).map_err(|_| SocketBroken)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SocketBroken>> {
        ready!(self.socket.poll_flush_unpin(cx)).map_err(|_| SocketBroken)?;
        self.unwritten.note_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, SocketEnd>> {
        loop {
            if self.pings > PINGS_MAX {
                // If a client pings without reading, its pongs would accumulate here.
                if ready!(self.socket.poll_flush_unpin(cx)).is_err() {
                    return Poll::Ready(Err(SocketEnd { end: End::ClientGone, closing: None }));
                }
                self.pings = 0;
            }
            if let Some(packet) = self.waiting.pop_front() {
                return Poll::Ready(Ok(packet));
            }
            let frame = ready!(self.socket.poll_next_unpin(cx));
            if let Some(read) = self.read(frame) {
                return Poll::Ready(read);
            }
        }
    }

    fn held(&self) -> usize {
        self.unwritten.len() + self.waiting.iter().map(Packet::len).sum::<usize>()
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, end: End, closing: &Closing) -> Poll<Option<Message>> {
        loop {
            match &mut self.goodbye {
                Goodbye::Unsaid => self.say_goodbye(end, closing),
                Goodbye::Said | Goodbye::Failed(_) if !self.waiting.is_empty() => {
                    if let Some(Packet::Message(message)) = self.waiting.pop_front() {
                        return Poll::Ready(Some(message));
                    }
                }
                Goodbye::Said => {
                    let flushed = self.socket.poll_flush_unpin(cx);
                    // The client's own Close frame or the end of its stream follows, perhaps before it reads our Close.
                    match ready!(self.socket.poll_next_unpin(cx)) {
                        frame @ Some(Ok(_)) => {
                            let first = self.read(frame).and_then(Result::ok);
                            if let Some(packet) = first {
                                self.waiting.push_front(packet);
                            }
                        }
                        Some(Err(_)) => self.goodbye = Goodbye::Failed(Farewell::default()),
                        None => return flushed.map(|_| None),
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

/// How many pongs may be pending for a client that does not read.
const PINGS_MAX: usize = 64;
