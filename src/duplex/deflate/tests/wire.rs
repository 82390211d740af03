//! `WebSocket`s over streams that take and give little at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;
use crate::duplex::{Buffers, Duplex, Farewell, Savings, WebSocket};

#[derive(Clone, Default, Debug)]
struct Saved(Arc<AtomicUsize>);

impl Savings for Saved {
    fn saved(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

async fn web_socket(stream: tokio::io::DuplexStream, role: Role, max: usize, saved: &Saved) -> WebSocket {
    let stream = Duplex::from(stream).deflated(deflate(100), Some(Box::new(saved.clone())));
    stream.into_web_socket(Bytes::new(), role, max, Buffers::Small).await
}

#[tokio::test]
async fn two_ends_understand_each_other_however_little_a_stream_takes() {
    for room in [1, 7, 1000, 1 << 20] {
        let (ours, theirs) = tokio::io::duplex(room);
        let saved = [Saved::default(), Saved::default()];
        let mut server = web_socket(ours, Role::Server, 1 << 20, &saved[0]).await;
        let mut client = web_socket(theirs, Role::Client, 1 << 20, &saved[1]).await;
        let sent = [
            Message::text("short"),
            Message::text("long ".repeat(5000)),
            Message::binary(vec![]),
            Message::Ping(Bytes::from_static(b"p")),
            Message::binary(vec![9; 300_000]),
        ];
        let echo = async move {
            while let Some(Ok(message)) = server.next().await {
                if !message.is_ping() && server.send(message).await.is_err() {
                    break;
                }
            }
        };
        let talk = async {
            for message in sent {
                client.send(message.clone()).await.unwrap();
                let echo = client.next().await.unwrap().unwrap();
                assert!(echo == message || message.is_ping() && echo.is_pong(), "{room}");
            }
            client.close(None).await.unwrap();
            while client.next().await.is_some_and(|message| message.is_ok()) {}
        };
        tokio::join!(echo, talk);
        let saved = saved.map(|saved| saved.0.load(Ordering::Relaxed));
        assert!(saved[0] > 600_000 && saved[0] == saved[1], "both directions: {saved:?}");
    }
}

#[tokio::test]
async fn a_flush_is_done_when_the_stream_has_all_of_a_compressed_message() {
    let (ours, mut theirs) = tokio::io::duplex(10);
    let mut server = web_socket(ours, Role::Server, 1 << 20, &Saved::default()).await;
    let text = "0123456789".repeat(200);
    assert!(server.send(Message::text(text.clone())).now_or_never().is_none(), "it can't have been written");
    let mut wire = Vec::new();
    loop {
        let flushed = server.flush().now_or_never();
        let mut piece = [0; 10];
        let Some(len) = theirs.read(&mut piece).now_or_never() else {
            assert!(matches!(flushed, Some(Ok(()))));
            break;
        };
        wire.extend(&piece[..len.unwrap()]);
        let is_all = wire.len() >= 2 && wire.len() == 2 + usize::from(wire[1] & 0x7f);
        assert!(
            is_all || flushed.is_none() || wire.len() + 10 >= 2 + usize::from(wire[1] & 0x7f),
            "flushed too early"
        );
    }
    let frames = Frame::all(&wire);
    assert_eq!((frames.len(), frames[0].first), (1, 0xc1));
    assert_eq!(inflated(&frames[0].payload), text.as_bytes());
}

#[tokio::test]
async fn a_bomb_ends_at_the_limit_of_messages_and_what_follows_is_not_inflated() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let saved = Saved::default();
    let mut server = web_socket(ours, Role::Server, 50_000, &saved).await;
    let bomb = compressed(&vec![0; 8 << 20], 9, Way::Whole);
    theirs.write_all(&Frame::new(0xc2, &bomb).masked([1, 2, 3, 4]).bytes()).await.unwrap();
    theirs.shutdown().await.unwrap();
    assert!(matches!(server.next().await, Some(Err(Error::Capacity(_)))));
    let inflated = saved.0.load(Ordering::Relaxed);
    let mut farewell = Farewell::default();
    std::future::poll_fn(|cx| farewell.poll(cx, &mut server)).await;
    assert!(inflated < 100_000 && saved.0.load(Ordering::Relaxed) == inflated, "{inflated}");
}

#[tokio::test]
async fn a_message_before_a_fault_is_read_and_then_the_fault() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut server = web_socket(ours, Role::Server, 50_000, &Saved::default()).await;
    let frames = [Frame::new(0x81, b"first"), Frame::new(0xc1, &[0xff; 10]), Frame::new(0x81, b"lost")];
    let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.masked([5; 4]).bytes()).collect();
    theirs.write_all(&bytes).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("first"));
    let Some(Err(Error::Io(error))) = server.next().await else { panic!("no fault") };
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&DeflateFault::Content));
}

#[tokio::test]
async fn a_client_that_does_not_mask_a_compressed_message_is_refused() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let mut server = web_socket(ours, Role::Server, 50_000, &Saved::default()).await;
    theirs.write_all(&Frame::new(0xc1, &compressed(b"Hello", 6, Way::Whole)).bytes()).await.unwrap();
    assert!(matches!(server.next().await, Some(Err(Error::Protocol(_)))));
}
