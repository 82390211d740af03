//! A peer that reads nothing, or sends on after the end.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::{Instant, timeout};

use super::*;
use crate::duplex::{Farewell, LINGER_LEN_MAX, Patience};

const LIMIT: Duration = Duration::from_secs(7);

fn pair() -> (WebSocket, tokio::io::DuplexStream) {
    let (ours, theirs) = duplex(1000);
    let ours = Duplex::from(ours).with_patience(Some(Patience::new(LIMIT)));
    (ours.into_web_socket(Bytes::new(), Role::Server, 1000, Buffers::Small), theirs)
}

#[tokio::test(start_paused = true)]
async fn pongs_that_nobody_reads_take_little_and_end_the_connection() {
    let (mut socket, mut theirs) = pair();
    let ping = RawFrame::new(0x89, &[7; 125]).masked([1, 2, 3, 4]).bytes();
    let start = Instant::now();
    let flood = async {
        // Until what is between both is full: the pings are read on.
        loop {
            theirs.write_all(&ping).await.unwrap();
        }
    };
    let reading = async {
        loop {
            match socket.next().await {
                Some(Ok(Incoming::Ping(_))) => assert!(socket.held() < 10_000, "{}", socket.held()),
                other => return other,
            }
            assert!(start.elapsed() < 10 * LIMIT, "it reads on");
            // The pace at which pings come.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = flood => {}
        end = reading => assert_eq!(end, Some(Err(Fault::Stalled))),
    }
    assert!(start.elapsed() >= LIMIT && start.elapsed() < 2 * LIMIT, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_pong_that_nobody_reads_ends_the_connection_too() {
    let (mut socket, mut theirs) = pair();
    // Fills what is between both.
    socket.start_send(&binary_frame(vec![7; 1000].into())).unwrap();
    assert!(timeout(Duration::from_millis(1), poll_fn(|cx| socket.poll_flush(cx))).await.is_err());
    theirs.write_all(&RawFrame::new(0x89, b"?").masked([1, 2, 3, 4]).bytes()).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Incoming::Ping(_)))));
    let start = Instant::now();
    assert_eq!(socket.next().await, Some(Err(Fault::Stalled)));
    assert!(start.elapsed() <= LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_on_after_the_end_is_read_for_so_many_bytes() {
    let (mut socket, mut theirs) = pair();
    socket.start_send(&Frame::close(None)).unwrap();
    let mut farewell = Farewell::default();
    let flood = async {
        let mut sent = 0;
        let mut close = [0; 2];
        theirs.read_exact(&mut close).await.unwrap();
        while theirs.write_all(&[7; 500]).await.is_ok() {
            sent += 500;
            assert!(sent < 2 * LINGER_LEN_MAX, "it is read without end");
        }
        sent
    };
    let over = async {
        poll_fn(|cx| farewell.poll(cx, &mut socket)).await;
        drop(socket);
    };
    let (sent, ()) = tokio::join!(flood, over);
    assert!(sent >= LINGER_LEN_MAX);
}
