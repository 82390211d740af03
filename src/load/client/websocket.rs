//! A WebSocket from the beginning, or after an upgrade.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink as _, Stream as _};
use http::Response;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::protocol::Protocol;
use super::requests::{line_of, shown};
use super::{GOODBYE_TIMEOUT, REQUEST_TIMEOUT, Session, Woken, engineio, sockjs};
use crate::load::fault::Fault;
use crate::load::net::{Connector, Count, Socket};
use crate::load::stats::Cost;
use crate::packet::Packet;

/// A WebSocket's frames, and their size on the wire.
#[derive(Debug)]
pub(super) struct Frames {
    stream: WebSocketStream<Socket>,
    count: Count,
    /// Bytes that have been accounted for.
    noted: u64,
    is_flushed: bool,
}

/// The result of waiting for a WebSocket.
enum Turn {
    Frame(WsMessage),
    /// Everything was written: there is room for more.
    Room,
}

/// Runs a session on a WebSocket from the beginning to the end.
pub(super) async fn run(session: &mut Session) -> Result<(), Fault> {
    let request = session.web_socket(None)?;
    let (connector, source) = (session.common.connector.clone(), session.source);
    let mut frames = Frames::open(&connector, source, request).await?;
    session.note(Cost::upgrade(frames.take_bytes()));
    let open = match session.common.protocol {
        protocol @ Protocol::EngineIo(_) => Some(engineio::open(&frames.first(protocol).await?)?),
        protocol @ Protocol::SockJs => {
            sockjs::begin(Some(&frames.first(protocol).await?))?;
            None
        }
        Protocol::Plain | Protocol::LongPoll => None,
    };
    session.handle_open(open.as_ref())?;
    session.note(Cost::frames(frames.take_bytes()));
    frames.converse(session).await
}

impl Frames {
    /// Asks for a WebSocket.
    pub(super) async fn open(
        connector: &Connector,
        source: Option<std::net::IpAddr>,
        request: http::Request<()>,
    ) -> Result<Self, Fault> {
        let socket = connector.dial(source).await?;
        let (count, asked) = (socket.count(), line_of(&request));
        let shaken =
            timeout(REQUEST_TIMEOUT, Box::pin(client_async_with_config(request, socket, Some(config()))))
                .await
                .map_err(|_| Fault::Slow("the WebSocket's handshake", REQUEST_TIMEOUT));
        let (stream, _) =
            shaken.and_then(|shaken| shaken.map_err(refused)).map_err(|fault| fault.of(asked))?;
        Ok(Self { stream, count, noted: 0, is_flushed: true })
    }

    /// Returns the first packet.
    pub(super) async fn first(&mut self, protocol: Protocol) -> Result<Packet, Fault> {
        let first = async {
            loop {
                if let Turn::Frame(frame) = self.turn().await?
                    && let Some(packet) = protocol.read(frame)?.next()
                {
                    return Ok(packet);
                }
            }
        };
        timeout(REQUEST_TIMEOUT, first).await.map_err(|_| Fault::Slow("the first packet", REQUEST_TIMEOUT))?
    }

    /// Runs the conversation until the session is over.
    pub(super) async fn converse(&mut self, session: &mut Session) -> Result<(), Fault> {
        let (stop, protocol) = (session.common.stop.clone(), session.common.protocol);
        let (mut stopping, mut packets) = (false, Vec::new());
        loop {
            let now = Instant::now();
            session.conversation.handle_timeout(now)?;
            if session.conversation.is_over(now) {
                self.close(session).await;
                return Ok(());
            }
            // One batch at a time: messages that can't be written yet wait as numbers, not as frames.
            if self.is_flushed && session.conversation.wants_to_write() {
                session.conversation.write(&mut packets, usize::MAX);
                session.conversation.handle_accepted();
                for packet in packets.drain(..) {
                    self.send(protocol, packet)?;
                }
            }
            let deadline = session.conversation.poll_timeout();
            tokio::select! {
                biased;
                turn = self.turn() => match turn? {
                    Turn::Frame(frame) => {
                        session.handle(protocol.read(frame)?.map(Ok))?;
                    }
                    Turn::Room => {}
                },
                woken = Session::wait(deadline, (!stopping).then_some(&stop)) => if woken == Woken::Stop {
                    stopping = true;
                    session.conversation.handle_stop(Instant::now());
                },
            }
            session.note(Cost::frames(self.take_bytes()));
        }
    }

    /// Puts a packet into the buffer.
    pub(super) fn send(&mut self, protocol: Protocol, packet: Packet) -> Result<(), Fault> {
        if let Some(frame) = protocol.frame(packet) {
            self.is_flushed = false;
            Pin::new(&mut self.stream).start_send(frame).map_err(broken)?;
        }
        Ok(())
    }

    /// Returns the bytes on the wire since the last call.
    pub(super) fn take_bytes(&mut self) -> u64 {
        let bytes = self.count.bytes();
        bytes - std::mem::replace(&mut self.noted, bytes)
    }

    /// Waits for a frame, and writes meanwhile: a server may stop reading until its own frames are read.
    async fn turn(&mut self) -> Result<Turn, Fault> {
        std::future::poll_fn(|cx| self.poll_turn(cx)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, Fault>> {
        let mut has_room = false;
        if !self.is_flushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            flushed.map_err(broken)?;
            self.is_flushed = true;
            has_room = true;
        }
        match Pin::new(&mut self.stream).poll_next(cx) {
            Poll::Ready(Some(frame)) => Poll::Ready(frame.map(Turn::Frame).map_err(broken)),
            Poll::Ready(None) => Poll::Ready(Err(Fault::Closed(None))),
            Poll::Pending if has_room => Poll::Ready(Ok(Turn::Room)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Says goodbye as the stock client does: with a Close frame and without a packet.
    async fn close(&mut self, session: &Session) {
        let _ = timeout(GOODBYE_TIMEOUT, async {
            for packet in session.conversation.goodbye().filter(|packet| *packet != Packet::Close(None)) {
                self.send(session.common.protocol, packet)?;
            }
            Pin::new(&mut self.stream).start_send(WsMessage::Close(None)).map_err(broken)?;
            self.is_flushed = false;
            while self.turn().await.is_ok() {}
            Ok::<(), Fault>(())
        })
        .await;
    }
}

/// Small, as there are thousands; tungstenite's defaults are 128 KiB each.
fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(BUFFER_LEN).write_buffer_size(BUFFER_LEN)
}

/// The text of a tungstenite error includes its cause, so the cause is not kept beside it.
fn broken(error: Error) -> Fault {
    if let Error::Protocol(ProtocolError::HandshakeIncomplete) = error {
        return Fault::Unanswered;
    }
    if let Error::Protocol(ProtocolError::HttparseError(_)) = error {
        return Fault::NotHttp;
    }
    if let Error::Io(error) = error {
        return Fault::Broken(error.into());
    }
    Fault::Broken(error.to_string().into())
}

/// Returns the server's response, if there is one.
fn refused(error: Error) -> Fault {
    if let Error::Http(response) = error {
        let (parts, body) = Response::into_parts(*response);
        let body = shown(&body.unwrap_or_default());
        return Fault::Status { what: "the WebSocket's handshake", status: parts.status, body };
    }
    broken(error)
}

const BUFFER_LEN: usize = 4096;
