//! Raw WebSocket frames (RFC 6455), for both ends: a test may send frames that no library would send.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::{self, Response};
use super::sha1::sha1;
use super::wire::{Fill, Wire};
use super::{QUIET, SOON};

/// A frame's opcode, of four bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Op(pub(crate) u8);

impl Op {
    pub(crate) const CONTINUATION: Self = Self(0);
    pub(crate) const TEXT: Self = Self(1);
    pub(crate) const BINARY: Self = Self(2);
    pub(crate) const CLOSE: Self = Self(8);
    pub(crate) const PING: Self = Self(9);
    pub(crate) const PONG: Self = Self(10);
}

/// One frame, unmasked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    /// The three reserved bits, RSV1 the highest.
    pub(crate) reserved: u8,
    pub(crate) op: Op,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Creates a complete message, or a control frame.
    pub(crate) fn new(op: Op, payload: impl AsRef<[u8]>) -> Self {
        Self { fin: true, reserved: 0, op, payload: payload.as_ref().to_vec() }
    }

    /// Returns a close frame; without a code the peer reports 1005.
    pub(crate) fn close(code: Option<u16>) -> Self {
        Self::new(Op::CLOSE, code.map(u16::to_be_bytes).map_or_else(Vec::new, |code| code.to_vec()))
    }

    /// Returns the bytes on the wire.
    pub(crate) fn encode(&self, masked: Masked) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.reserved << 4 | self.op.0];
        let flag = if masked == Masked::Yes { 0x80 } else { 0 };
        match self.payload.len() {
            length @ 0..126 => bytes.push(flag | u8::try_from(length).unwrap()),
            length @ 126..65_536 => {
                bytes.push(flag | 0x7e);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                bytes.push(flag | 0x7f);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if masked == Masked::Yes {
            bytes.extend(MASK);
            bytes.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }

    /// Returns the code of a close frame.
    pub(crate) fn code(&self) -> Option<u16> {
        self.payload.first_chunk().map(|code| u16::from_be_bytes(*code))
    }
}

/// Whether a frame is masked, as a client's must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Masked {
    Yes,
    No,
}

/// Reads one frame, of a client or of a server.
pub(crate) fn read(wire: &mut Wire, deadline: Instant) -> Result<Frame, Fill> {
    while wire.buffered().len() < 2 {
        pull(wire, deadline)?;
    }
    let (first, second) = (wire.buffered()[0], wire.buffered()[1]);
    let (extra, short) = match second & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        length => (0, usize::from(length)),
    };
    let mask_length = if second & 0x80 == 0 { 0 } else { 4 };
    let head = 2 + extra + mask_length;
    while wire.buffered().len() < head {
        pull(wire, deadline)?;
    }
    let length = match extra {
        0 => short,
        _ => wire.buffered()[2..2 + extra].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    // Nothing is taken before the frame is whole: a deadline may pass in the middle of one.
    while wire.buffered().len() < head + length {
        pull(wire, deadline)?;
    }
    let head = wire.take(head);
    let mut payload = wire.take(length);
    if mask_length > 0 {
        let mask = &head[head.len() - 4..];
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    Ok(Frame { fin: first & 0x80 != 0, reserved: first >> 4 & 7, op: Op(first & 15), payload })
}

fn pull(wire: &mut Wire, deadline: Instant) -> Result<(), Fill> {
    match wire.fill(deadline) {
        Fill::Data => Ok(()),
        end @ (Fill::Eof | Fill::Quiet) => Err(end),
    }
}

/// Returns the `Sec-WebSocket-Accept` of a key (RFC 6455, section 4.2.2).
pub(crate) fn accept(key: &str) -> String {
    STANDARD.encode(sha1(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes()))
}

/// A client's end of a WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) wire: Wire,
    /// The target's 101.
    pub(crate) response: Response,
}

/// The headers of an ordinary WebSocket handshake.
pub(crate) const HANDSHAKE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
];

impl Socket {
    /// Opens a WebSocket.
    #[track_caller]
    pub(crate) fn connect(addr: SocketAddr, target: &str) -> Self {
        Self::try_connect(addr, target, &[]).unwrap_or_else(|refusal| {
            panic!("expected a WebSocket, but the handshake was refused: {refusal:?}")
        })
    }

    /// Opens a WebSocket with additional headers, or returns the refusal.
    pub(crate) fn try_connect(
        addr: SocketAddr,
        target: &str,
        more: &[(&str, &str)],
    ) -> Result<Self, Response> {
        Self::over(Wire::connect(addr), target, more)
    }

    /// Opens a WebSocket over a connection.
    pub(crate) fn over(wire: Wire, target: &str, more: &[(&str, &str)]) -> Result<Self, Response> {
        let headers: Vec<_> = HANDSHAKE.iter().chain(more).copied().collect();
        let mut client = http::Client { wire };
        client.wire.send(http::head("GET", target, &headers).as_bytes());
        let response = client.answer();
        if response.status != 101 {
            return Err(response);
        }
        assert_eq!(response.header("sec-websocket-accept"), Some(accept(KEY).as_str()));
        assert!(response.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")));
        Ok(Self { wire: client.wire, response })
    }

    /// Sends a text message.
    pub(crate) fn send(&mut self, text: &str) {
        self.send_frame(&Frame::new(Op::TEXT, text));
    }

    /// Sends a binary message.
    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.send_frame(&Frame::new(Op::BINARY, bytes));
    }

    /// Sends a masked frame.
    pub(crate) fn send_frame(&mut self, frame: &Frame) {
        self.wire.send(&frame.encode(Masked::Yes));
    }

    /// Returns the next frame, if it comes in time.
    pub(crate) fn frame_within(&mut self, wait: Duration) -> Result<Frame, Fill> {
        let frame = read(&mut self.wire, Instant::now() + wait)?;
        assert_eq!(frame.reserved, 0, "no extension was agreed on");
        Ok(frame)
    }

    /// Returns the next frame.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Frame {
        self.frame_within(SOON).expect("the next frame arrives")
    }

    /// Returns the next frame, which must be a text.
    #[track_caller]
    pub(crate) fn text(&mut self) -> String {
        let frame = self.frame();
        assert_eq!(frame.op, Op::TEXT, "expected a text, got {frame:?}");
        String::from_utf8(frame.payload).expect("a text is UTF-8")
    }

    /// Fails unless the next frame is this text.
    #[track_caller]
    pub(crate) fn assert_text(&mut self, text: &str) {
        assert_eq!(self.text(), text);
    }

    /// Fails unless the next frame is this binary.
    #[track_caller]
    pub(crate) fn assert_binary(&mut self, bytes: &[u8]) {
        assert_eq!(self.frame(), Frame::new(Op::BINARY, bytes));
    }

    /// Fails unless the target closes now: with a frame of this code, then, once answered, the connection.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self, code: Option<u16>) {
        let frame = self.frame();
        assert_eq!(frame.op, Op::CLOSE, "expected a close, got {frame:?}");
        assert_eq!(frame.code(), code, "the close's code");
        self.send_frame(&Frame::close(frame.code()));
        assert!(self.wire.ends_within(ENDING), "the connection ends soon after the close");
    }

    /// Fails if anything comes now.
    #[track_caller]
    pub(crate) fn assert_quiet(&mut self) {
        let came = self.frame_within(QUIET);
        assert!(matches!(came, Err(Fill::Quiet)), "expected nothing, got {came:?}");
    }
}

/// How long a connection may stay open after its Close frames: the reference closes at once.
pub(crate) const ENDING: Duration = Duration::from_secs(1);
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
