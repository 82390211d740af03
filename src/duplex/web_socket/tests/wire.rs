//! `WebSocket`s over streams that take and give little at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Reference;

use super::*;
use crate::duplex::{Carrier, Farewell};

#[derive(Clone, Default, Debug)]
struct Saved(Arc<AtomicUsize>);

impl Savings for Saved {
    fn saved(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn plain(stream: DuplexStream, role: Role) -> WebSocket {
    Duplex::from(stream).into_web_socket(Bytes::new(), role, MESSAGE_MAX, Buffers::Small)
}

async fn send(socket: &mut WebSocket, frame: Frame) -> Result<(), Unsendable> {
    poll_fn(|cx| socket.poll_ready(cx)).await?;
    socket.start_send(&frame)?;
    poll_fn(|cx| socket.poll_flush(cx)).await
}

/// Sends back what arrives, until the other side closes.
async fn echo(mut socket: WebSocket) {
    while let Some(Ok(incoming)) = socket.next().await {
        let sent = match incoming {
            Incoming::Message(Message::Text(text)) => send(&mut socket, text_frame(text.into_bytes())).await,
            Incoming::Message(Message::Binary(bytes)) => send(&mut socket, binary_frame(bytes)).await,
            Incoming::Ping(_) | Incoming::Pong(_) | Incoming::Close(_) => Ok(()),
        };
        assert_eq!(sent, Ok(()));
    }
    assert_eq!(format!("{socket:?}"), "WebSocket");
}

fn messages() -> [Message; 5] {
    [
        Message::text("short"),
        Message::text("h\u{e9}llo ".repeat(5000)),
        Message::Binary(Bytes::new()),
        Message::Binary(vec![9; 70_000].into()),
        Message::text("x".repeat(126)),
    ]
}

#[tokio::test]
async fn two_ends_understand_each_other_however_little_a_stream_takes() {
    for room in [1, 7, 1000, 1 << 20] {
        let (ours, theirs) = tokio::io::duplex(room);
        let saved = [Saved::default(), Saved::default()];
        let server = plain(ours, Role::Server).compressed(deflate(100), Some(Box::new(saved[0].clone())));
        let mut client =
            plain(theirs, Role::Client).compressed(deflate(100), Some(Box::new(saved[1].clone())));
        let talk = async {
            for message in messages() {
                let frame = match message.clone() {
                    Message::Text(text) => text_frame(text.into_bytes()),
                    Message::Binary(bytes) => binary_frame(bytes),
                };
                send(&mut client, frame).await.unwrap();
                assert_eq!(client.next().await, Some(Ok(Incoming::Message(message))), "{room}");
            }
            send(&mut client, Frame::ping("p")).await.unwrap();
            assert_eq!(client.next().await, Some(Ok(Incoming::Pong("p".into()))));
            send(&mut client, Frame::close(None)).await.unwrap();
            assert_eq!(client.next().await, Some(Ok(Incoming::Close(None))));
            assert_eq!(client.next().await, None);
        };
        tokio::join!(echo(server), talk);
        let saved = saved.map(|saved| saved.0.load(Ordering::Relaxed));
        assert!(saved[0] > 100_000 && saved[0] == saved[1], "both directions: {saved:?}");
    }
}

#[tokio::test]
async fn tungstenite_understands_either_end() {
    for room in [7, 1000, 1 << 20] {
        for role in [Role::Server, Role::Client] {
            let (ours, theirs) = tokio::io::duplex(room);
            let other = if role == Role::Server { Role::Client } else { Role::Server };
            let mut theirs = WebSocketStream::from_raw_socket(theirs, other, None).await;
            let talk = async {
                for message in messages() {
                    let message = match message {
                        Message::Text(text) => Reference::text(text.as_str()),
                        Message::Binary(bytes) => Reference::Binary(bytes),
                    };
                    theirs.send(message.clone()).await.unwrap();
                    assert_eq!(theirs.next().await.unwrap().unwrap(), message, "{role:?}, {room}");
                }
                theirs.send(Reference::Ping("p".into())).await.unwrap();
                assert_eq!(theirs.next().await.unwrap().unwrap(), Reference::Pong("p".into()));
                let close = CloseFrame { code: CloseCode::Away, reason: "bye".into() };
                theirs.close(Some(close.clone())).await.unwrap();
                assert_eq!(theirs.next().await.unwrap().unwrap(), Reference::Close(Some(close)));
            };
            tokio::join!(echo(plain(ours, role)), talk);
        }
    }
}

#[tokio::test]
async fn a_flush_is_done_when_the_stream_has_all_of_a_message() {
    let (ours, mut theirs) = tokio::io::duplex(10);
    let mut server = plain(ours, Role::Server).compressed(deflate(100), None);
    let text = "0123456789".repeat(200);
    assert!(
        send(&mut server, text_frame(text.clone().into())).now_or_never().is_none(),
        "it can't have been written"
    );
    let mut wire = Vec::new();
    loop {
        let flushed = poll_fn(|cx| server.poll_flush(cx)).now_or_never();
        let mut piece = [0; 10];
        let Some(len) = theirs.read(&mut piece).now_or_never() else {
            assert_eq!(flushed, Some(Ok(())));
            break;
        };
        wire.extend(&piece[..len.unwrap()]);
        let is_all = wire.len() >= 2 && wire.len() == 2 + usize::from(wire[1] & 0x7f);
        assert!(
            is_all || flushed.is_none() || wire.len() + 10 >= 2 + usize::from(wire[1] & 0x7f),
            "flushed too early"
        );
    }
    let frames = RawFrame::all(&wire);
    assert_eq!((frames.len(), frames[0].first), (1, 0xc1));
    assert_eq!(inflate(&frames[0].payload), text.as_bytes());
}

#[tokio::test]
async fn no_more_than_a_message_beyond_the_buffer_waits_to_be_written() {
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let mut server = plain(ours, Role::Server);
    let mut taken = 0;
    while poll_fn(|cx| server.poll_ready(cx)).now_or_never().is_some() {
        server.start_send(&binary_frame(vec![7; 1000].into())).unwrap();
        taken += 1;
    }
    assert!(server.writer.held() <= WRITE_BUFFER_LEN + 1000 && taken > 4);
    // Whatever has room now: nothing is taken before all of it is written.
    theirs.read_exact(&mut [0; 1000]).await.unwrap();
    assert!(poll_fn(|cx| server.poll_ready(cx)).now_or_never().is_none());
    let mut rest = vec![0; taken * 1004 - 1000];
    let (ready, _) = tokio::join!(poll_fn(|cx| server.poll_ready(cx)), theirs.read_exact(&mut rest));
    assert_eq!((ready, server.held()), (Ok(()), 0));
}

#[tokio::test]
async fn pongs_do_not_pile_up_for_a_peer_that_does_not_read() {
    let (ours, mut theirs) = tokio::io::duplex(100);
    let mut server = plain(ours, Role::Server);
    let last = RawFrame::new(0x89, b"the last one").masked([1; 4]).bytes();
    for _ in 0..1000 {
        theirs.write_all(&RawFrame::new(0x89, &[7; 50]).masked([1; 4]).bytes()).await.unwrap();
        assert_eq!(server.next().await, Some(Ok(Incoming::Ping(vec![7; 50].into()))));
    }
    theirs.write_all(&last).await.unwrap();
    server.next().await.unwrap().unwrap();
    assert!(server.next().now_or_never().is_none(), "there is no more");
    assert!(server.writer.held() < WRITE_BUFFER_LEN + 60, "{} bytes wait", server.writer.held());
    let mut wire = Vec::new();
    while let Some(len) = theirs.read_buf(&mut wire).now_or_never() {
        assert!(len.unwrap() > 0);
        assert!(server.next().now_or_never().is_none());
        // Otherwise tokio has this task wait for its turn halfway.
        tokio::task::yield_now().await;
    }
    assert_eq!(RawFrame::all(&wire).pop(), Some(RawFrame::new(0x8a, b"the last one")));
}

#[tokio::test]
async fn pings_in_a_row_have_a_pong_each_though_the_stream_is_blocked() {
    let (ours, mut theirs) = tokio::io::duplex(1000);
    let mut server = plain(ours, Role::Server);
    server.start_send(&binary_frame(vec![7; 2000].into())).unwrap();
    assert!(poll_fn(|cx| server.poll_flush(cx)).now_or_never().is_none(), "it waits for the peer");
    let names: Vec<_> = (0..10).map(|number| format!("payload-{number}")).collect();
    let sent = names.iter().flat_map(|name| RawFrame::new(0x89, name.as_bytes()).masked([1; 4]).bytes());
    theirs.write_all(&sent.collect::<Vec<_>>()).await.unwrap();
    while server.next().now_or_never().is_some() {}
    let mut wire = Vec::new();
    while theirs.read_buf(&mut wire).now_or_never().is_some() {
        assert!(server.next().now_or_never().is_none());
    }
    let pongs: Vec<_> = names.iter().map(|name| RawFrame::new(0x8a, name.as_bytes())).collect();
    assert_eq!(RawFrame::all(&wire)[1..], pongs);
}

#[tokio::test]
async fn an_answer_to_a_close_is_the_last_frame() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    let mut server = plain(ours, Role::Server);
    for frame in [RawFrame::new(0x88, b"\x0f\xa0why"), RawFrame::new(0x81, b"never read")] {
        theirs.write_all(&frame.masked([3; 4]).bytes()).await.unwrap();
    }
    let frame = CloseFrame { code: CloseCode::from(4000), reason: "why".into() };
    assert_eq!(server.next().await, Some(Ok(Incoming::Close(Some(frame)))));
    assert_eq!(server.start_send(&text_frame("late".into())), Err(Unsendable));
    assert_eq!(server.next().await, None);
    drop(server);
    let mut wire = Vec::new();
    theirs.read_to_end(&mut wire).await.unwrap();
    assert_eq!(RawFrame::all(&wire), [RawFrame::new(0x88, b"\x0f\xa0why")]);
}

#[tokio::test]
async fn after_our_close_messages_are_read_until_the_answer() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    let mut server = plain(ours, Role::Server);
    server.start_send(&Frame::close(None)).unwrap();
    assert_eq!(server.start_send(&text_frame("late".into())), Err(Unsendable));
    for frame in [RawFrame::new(0x81, b"crossed"), RawFrame::new(0x89, b"too"), RawFrame::new(0x88, b"")] {
        theirs.write_all(&frame.masked([3; 4]).bytes()).await.unwrap();
    }
    assert_eq!(server.next().await, Some(Ok(text("crossed"))));
    assert_eq!(server.next().await, Some(Ok(Incoming::Ping("too".into()))));
    assert_eq!(server.next().await, Some(Ok(Incoming::Close(None))));
    assert_eq!(server.next().await, None);
    drop(server);
    let mut wire = Vec::new();
    theirs.read_to_end(&mut wire).await.unwrap();
    assert_eq!(RawFrame::all(&wire), [RawFrame::new(0x88, b"")]);
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_found_before_their_frame_is_whole() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    let mut server = plain(ours, Role::Server);
    let frame = RawFrame::new(0x81, b"h\xc3\xa9\xff and more").masked([3; 4]).bytes();
    theirs.write_all(&frame[..8]).await.unwrap();
    assert!(server.next().now_or_never().is_none(), "a character may be in the middle");
    theirs.write_all(&frame[8..10]).await.unwrap();
    assert_eq!(server.next().await, Some(Err(Violation::NotUtf8.into())));
    assert_eq!(server.next().await, None);
}

#[tokio::test]
async fn a_stream_that_ends_without_a_close_is_lost() {
    let whole = RawFrame::new(0x81, b"whole").masked([3; 4]).bytes();
    for cut in 0..whole.len() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let mut server = plain(ours, Role::Server);
        theirs.write_all(&[&whole, &whole[..cut]].concat()).await.unwrap();
        drop(theirs);
        assert_eq!(server.next().await, Some(Ok(text("whole"))));
        assert_eq!(server.next().await, Some(Err(Fault::Lost)), "{cut}");
        assert_eq!(server.next().await, None);
    }
}

#[tokio::test]
async fn a_message_before_a_fault_is_read_and_then_the_fault() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut server = plain(ours, Role::Server).compressed(deflate(100), None);
    let frames =
        [RawFrame::new(0x81, b"first"), RawFrame::new(0xc1, &[0xff; 10]), RawFrame::new(0x81, b"lost")];
    let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.masked([5; 4]).bytes()).collect();
    theirs.write_all(&bytes).await.unwrap();
    theirs.shutdown().await.unwrap();
    assert_eq!(server.next().await, Some(Ok(text("first"))));
    assert_eq!(server.next().await, Some(Err(Violation::Malformed.into())));
    let mut farewell = Farewell::default();
    poll_fn(|cx| farewell.poll(cx, &mut server)).await;
}

#[tokio::test]
async fn an_idle_one_holds_no_buffer_and_a_claim_takes_no_memory() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut server = plain(ours, Role::Server);
    for len in [10, 100_000] {
        theirs.write_all(&RawFrame::new(0x82, &vec![1; len]).masked([5; 4]).bytes()).await.unwrap();
        let Some(Ok(Incoming::Message(message))) = server.next().await else { panic!() };
        assert_eq!(message.len(), len);
        send(&mut server, binary_frame(vec![2; len].into())).await.unwrap();
        assert_eq!((server.held(), server.writer.capacity()), (0, 0));
    }
    let mut claim = RawFrame::new(0x82, &vec![1; 70_000]).masked([5; 4]).bytes();
    claim.truncate(100);
    theirs.write_all(&claim).await.unwrap();
    assert!(server.next().now_or_never().is_none());
    assert!(server.held() <= 16 << 10, "{}", server.held());
}

#[tokio::test]
async fn the_system_is_asked_once_for_all_that_is_short() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    let ahead = RawFrame::new(0x81, b"read with the handshake").masked([5; 4]).bytes();
    let mut server = Duplex::from(crate::duplex::Socket::Tcp(ours)).into_web_socket(
        ahead.into(),
        Role::Server,
        100,
        Buffers::Small,
    );
    theirs.write_all(&RawFrame::new(0x81, b"x").masked([5; 4]).bytes().repeat(300)).await.unwrap();
    assert_eq!(server.next().await, Some(Ok(text("read with the handshake"))));
    assert_eq!(server.next().await, Some(Ok(text("x"))));
    let Carrier::Socket(crate::duplex::Socket::Tcp(stream)) = &server.duplex.carrier else { panic!() };
    assert!(stream.try_read(&mut [0; 1]).is_err(), "nothing is left");
    for _ in 1..300 {
        assert_eq!(server.next().now_or_never(), Some(Some(Ok(text("x")))));
    }
}
