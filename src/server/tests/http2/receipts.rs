//! Receipts over HTTP/2: settled by the bytes, whatever the windows do.

use std::sync::atomic::{AtomicU32, Ordering};

use super::super::receipts::{Carried, Carrier, LENS, Spy, connect as carry};
use super::frames::INITIAL_WINDOW;
use super::*;
use crate::duplex::{Patience, RawHeaders, Receipt};
use crate::server::http2::Http2;
use crate::transport::Body;

/// Serves one connection with responses of `len` bytes, numbered from 0.
async fn serve(carrier: Carrier, len: usize, window: u32) -> (Frames<Carried>, Arc<Spy>) {
    let (spy, count) = (Arc::<Spy>::default(), Arc::new(AtomicU32::new(0)));
    let to = Arc::clone(&spy);
    let make = move |_: ConnectInfo| {
        let (to, count) = (Arc::clone(&to), Arc::clone(&count));
        service_fn(move |_: Request| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let receipt = Receipt::new(Arc::clone(&to) as _, number);
            let body = Body::delivery(Bytes::from(vec![b'x'; len]), receipt);
            std::future::ready(Ok::<_, Infallible>(Response::new(body)))
        })
    };
    let (client, duplex) = carry(carrier).await;
    let (peer, patience) = (any_port(), Patience::new(PATIENCE));
    let info = ConnectInfo {
        peer: peer.into(),
        secure: false,
        subject: None,
        patience,
        listener: "test".into(),
        raw_headers: RawHeaders::default(),
        pinned: crate::upstream::Pinned::default(),
    };
    TaskTracker::new().spawn(Http2::new(
        Arc::new(make),
        info,
        duplex,
        PATIENCE,
        ConnectionLimits::default(),
        Limited::default(),
        crate::budget::Budget::default().charge(),
    ));
    (Frames::begin(client, &[(INITIAL_WINDOW, window)]).await, spy)
}

fn carriers() -> impl Iterator<Item = (Carrier, usize)> {
    // Not in memory: neither side of a pipe that is shorter than the preface could begin.
    [Carrier::Clear, Carrier::Tls].into_iter().flat_map(|carrier| LENS.map(|len| (carrier, len)))
}

/// More than any response here is long.
const WIDE: u32 = 2 << 20;

#[tokio::test]
async fn a_response_that_is_read_is_settled_once() {
    for (carrier, len) in carriers() {
        let (mut frames, spy) = serve(carrier, len, WIDE).await;
        frames.open(0, 2 * WIDE).await;
        for number in 0..2 {
            frames.get(2 * number + 1, "/").await;
            assert_eq!(frames.body(2 * number + 1).await.len(), len);
            spy.hears(&(0..=number).map(|number| (number, "settled")).collect::<Vec<_>>()).await;
        }
        drop(frames);
        tokio::task::yield_now().await;
        assert_eq!(spy.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_response_without_a_window_waits_for_one_before_it_is_settled() {
    for (carrier, len) in carriers() {
        let (mut frames, spy) = serve(carrier, len, 0).await;
        frames.get(1, "/").await;
        frames.until(Kind::HEADERS).await;
        // Hyper has taken the body by now.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(spy.seen(), [], "{carrier:?} {len}");
        frames.open(0, WIDE).await;
        // All but one byte, then that one.
        let most = u32::try_from(len).unwrap() - 1;
        frames.open(1, most).await;
        let mut taken = 0;
        while taken < most as usize {
            taken += frames.until(Kind::DATA).await.payload.len();
        }
        // Long enough for a receipt that is settled too early.
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(spy.seen(), [], "{carrier:?} {len}");
        frames.open(1, 1).await;
        frames.until(Kind::DATA).await;
        spy.hears(&[(0, "settled")]).await;
    }
}

#[tokio::test]
async fn a_response_is_lost_when_its_stream_is_reset_at_any_moment_before_its_last_byte() {
    for (carrier, len) in carriers() {
        // With the request, behind the response's header, in the middle of its body.
        for moment in 0..3 {
            let (mut frames, spy) = serve(carrier, len, 0).await;
            frames.open(0, WIDE).await;
            frames.get(1, "/").await;
            if moment > 0 {
                frames.until(Kind::HEADERS).await;
            }
            if moment > 1 {
                frames.open(1, 16).await;
                frames.until(Kind::DATA).await;
            }
            frames.reset(1).await;
            // What never became a response has no receipt.
            if moment > 0 {
                spy.hears(&[(0, "lost")]).await;
            }
            // The connection and its other requests go on.
            frames.get(3, "/").await;
            frames.open(3, WIDE).await;
            assert_eq!(frames.body(3).await.len(), len);
            let seen = timeout(PATIENCE, async {
                while !spy.seen().iter().any(|(_, what)| *what == "settled") {
                    tokio::task::yield_now().await;
                }
                spy.seen()
            });
            let seen = seen.await.unwrap();
            assert_eq!(seen.iter().filter(|(_, what)| *what == "settled").count(), 1, "{moment} {seen:?}");
            assert!(moment == 0 || seen.len() == 2, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn what_a_connection_has_not_taken_when_it_ends_is_lost() {
    for (carrier, len) in carriers() {
        for opened in [0, 16] {
            let (mut frames, spy) = serve(carrier, len, opened).await;
            frames.get(1, "/").await;
            frames.get(3, "/").await;
            frames.until(Kind::HEADERS).await;
            drop(frames);
            let heard = async {
                while spy.seen().len() < 2 {
                    tokio::task::yield_now().await;
                }
            };
            timeout(PATIENCE, heard).await.expect("news in time");
            assert!(spy.seen().iter().all(|(_, what)| *what == "lost"), "{:?}", spy.seen());
        }
    }
}
