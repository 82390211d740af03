//! Whatever arrives, in whatever pieces: tungstenite reads the same out of it, and answers the same.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{self, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error};

use super::*;
use crate::duplex::Carries;

/// What a WebSocket reads, what it writes, and how it ends: `None` after a Close frame.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    incoming: Vec<Incoming>,
    written: Vec<RawFrame>,
    end: Option<Fault>,
}

/// A stream that arrives in pieces and takes everything.
#[derive(Clone, Default, Debug)]
struct Script {
    pieces: VecDeque<Vec<u8>>,
    written: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Script {
    fn new(bytes: &[u8], cuts: &[usize]) -> Self {
        let (mut rest, mut cuts) = (bytes, cuts.iter().cycle());
        let mut script = Self::default();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            script.pieces.push_back(piece.to_vec());
            rest = after;
        }
        script
    }

    /// Returns the frames that were written, without their masks.
    fn written(&self) -> Vec<RawFrame> {
        let frames = RawFrame::all(&self.written.lock().unwrap());
        frames.into_iter().map(|frame| RawFrame { mask: frame.mask.map(|_| [0; 4]), ..frame }).collect()
    }
}

impl Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.pieces.pop_front() else { return Ok(0) };
        let rest = piece.split_off(piece.len().min(buf.len()));
        buf[..piece.len()].copy_from_slice(&piece);
        if !rest.is_empty() {
            self.pieces.push_front(rest);
        }
        Ok(piece.len())
    }
}

impl Write for Script {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written.lock().unwrap().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let len = self.get_mut().read(buf.initialize_unfilled())?;
        buf.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.get_mut().write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn ours(script: &Script, role: Role) -> Outcome {
    let stream: Box<dyn Carries> = Box::new(script.clone());
    let mut socket = Duplex::from(stream).into_web_socket(Bytes::new(), role, LEN_MAX, Buffers::Small);
    let mut incoming = Vec::new();
    let end = loop {
        match socket.next().now_or_never().expect("the stream is never pending") {
            Some(Ok(item)) => incoming.push(item),
            Some(Err(fault)) => break Some(fault),
            None => break None,
        }
    };
    Outcome { incoming, written: script.written(), end }
}

fn theirs(script: &Script, role: Role) -> Outcome {
    let config = WebSocketConfig::default()
        .read_buffer_size(100)
        .max_message_size(Some(LEN_MAX))
        .max_frame_size(Some(LEN_MAX));
    let mut socket = protocol::WebSocket::from_raw_socket(script.clone(), role, Some(config));
    let mut incoming = Vec::new();
    let end = loop {
        incoming.push(match socket.read() {
            Ok(tungstenite::Message::Text(read)) => text(&read),
            Ok(tungstenite::Message::Binary(bytes)) => binary(&bytes),
            Ok(tungstenite::Message::Ping(content)) => Incoming::Ping(content),
            Ok(tungstenite::Message::Pong(content)) => Incoming::Pong(content),
            Ok(tungstenite::Message::Close(frame)) => {
                incoming.push(Incoming::Close(frame));
                // What a client reads after it does not matter.
                let _ = socket.flush();
                break None;
            }
            Ok(tungstenite::Message::Frame(_)) => unreachable!(),
            Err(Error::Capacity(_)) => break Some(Violation::TooLarge.into()),
            Err(Error::Utf8(_)) => break Some(Violation::NotUtf8.into()),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break Some(Fault::Lost),
            Err(Error::Protocol(_)) => break Some(Violation::Protocol.into()),
            Err(error) => panic!("{error}"),
        });
    };
    Outcome { incoming, written: script.written(), end }
}

/// Fails unless both read the same and answer the same. But tungstenite looks at a frame when all of it has come: what is
/// wrong with one that never ends it does not find.
pub(super) fn agree(bytes: &[u8], role: Role, cuts: &[usize]) {
    let [mut ours, theirs] = [ours, theirs].map(|read| read(&Script::new(bytes, cuts), role));
    if theirs.end == Some(Fault::Lost) {
        ours.end = Some(Fault::Lost);
    }
    assert_eq!(ours, theirs, "{role:?}");
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let utf8 = "h\u{e9}llo \u{20ac} \u{1f438} ".repeat(40);
    prop_oneof![
        4 => (0..20usize).prop_map(|len| vec![b'x'; len]),
        4 => (0..utf8.len(), 0..80usize).prop_map(move |(at, len)| utf8.as_bytes()[at..].iter().take(len).copied().collect()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (120..320usize).prop_map(|len| vec![b'y'; len]),
        1 => (990..1030u16, "[a-z]{0,9}").prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat()),
    ]
}

/// Frames, most of which are allowed where they stand.
fn frames(role: Role) -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        12 => prop::sample::select(vec![0x81, 0x82, 0x89, 0x8a, 0x01, 0x02, 0x00, 0x00, 0x80, 0x80]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let mask = prop_oneof![40 => any::<[u8; 4]>().prop_map(move |mask| (role == Role::Server).then_some(mask)), 1 => any::<Option<[u8; 4]>>()];
    let frame =
        (first, mask, payload()).prop_map(|(first, mask, payload)| RawFrame { first, mask, payload }.bytes());
    (prop::collection::vec(frame, 0..12), any::<prop::sample::Index>(), 0..4u8).prop_map(
        |(frames, end, cut)| {
            let mut bytes = frames.concat();
            if cut == 0 {
                bytes.truncate(end.index(bytes.len() + 1));
            }
            bytes
        },
    )
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![1]), Just(vec![10_000]), prop::collection::vec(1..60usize, 1..8)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_server_reads_what_tungstenite_reads(bytes in frames(Role::Server), cuts in cuts()) {
        agree(&bytes, Role::Server, &cuts);
    }

    #[test]
    fn a_client_reads_what_tungstenite_reads(bytes in frames(Role::Client), cuts in cuts()) {
        agree(&bytes, Role::Client, &cuts);
    }

    #[test]
    fn so_it_is_with_bytes_without_any_order(bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in cuts()) {
        agree(&bytes, Role::Server, &cuts);
        agree(&bytes, Role::Client, &cuts);
    }
}

/// More than a control frame may have, so that what is too large for that is never too large for a message first.
const LEN_MAX: usize = 300;
