//! What hyper takes ahead of a client's windows counts until it is written.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Frame;

use super::frames::{END_HEADERS, INITIAL_WINDOW};
use super::*;
use crate::budget::Budget;
use crate::duplex::{Piece, Receipted};

/// A response of so many pieces, which count once they are taken.
struct Pieces(usize, Budget);

impl From<&'static str> for Pieces {
    fn from(_: &'static str) -> Self {
        Self(0, Budget::default())
    }
}

impl Receipted for Pieces {}

impl http_body::Body for Pieces {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
        self.0 = left;
        let piece = Piece::charged(Bytes::from_static(&[7; 10_000]), self.1.charge());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// Waits until this many bytes are in use.
async fn uses(budget: &Budget, bytes: usize) {
    let used = async {
        while budget.used() != bytes {
            // The interval between two looks: no event shows that hyper has written something.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, used).await.is_ok(), "{} bytes instead of {bytes}", budget.used());
}

#[tokio::test]
async fn each_piece_that_is_taken_of_a_response_counts_until_it_is_written() {
    let budget = Budget::default();
    let counts = budget.clone();
    let server = Running::start_each(h2c(), move |_: ConnectInfo| {
        let counts = counts.clone();
        service_fn(move |_: Request| {
            std::future::ready(Ok::<_, Infallible>(Response::new(Pieces(3, counts.clone()))))
        })
    });
    let mut frames = Frames::connect(&server, &[(INITIAL_WINDOW, 1000)]).await;
    frames.get(1, "/").await;
    // The rest of the first, and the second.
    uses(&budget, 19_000).await;
    frames.open(1, 9_000).await;
    uses(&budget, 10_000).await;
    frames.open(1, 15_000).await;
    uses(&budget, 5_000).await;
    frames.reset(1).await;
    uses(&budget, 0).await;
}

#[tokio::test]
async fn what_a_byte_stream_has_written_counts_until_its_connection_has() {
    let server = Running::start(h2c(), |request: Request| async move {
        let Some(key) = request.headers().get("sec-websocket-key").cloned() else {
            return hello(request).await;
        };
        let upgrade = ClientUpgrade::take(&mut request.into_parts().0).unwrap();
        TaskTracker::new().spawn(async move {
            let (mut duplex, _) = upgrade.stream().await.unwrap();
            duplex.write_all(&[7; 10_000]).await.unwrap();
            let _ = duplex.read_to_end(&mut Vec::new()).await;
        });
        Ok(messages::accepted(&key))
    });
    let mut frames = Frames::connect(&server, &[(INITIAL_WINDOW, 0)]).await;
    for stream in [1, 5] {
        frames.write(Kind::HEADERS, END_HEADERS, stream, &frames::connect("/", "websocket")).await;
        counts(&server, 10_000).await;
        // The bodies of other responses are none of it.
        frames.get(stream + 2, "/").await;
        frames.open(stream + 2, 5).await;
        assert_eq!(frames.body(stream + 2).await, b"hello");
        counts(&server, 10_000).await;
        frames.open(stream, 4000).await;
        counts(&server, 6000).await;
        if stream == 1 {
            frames.open(stream, 6000).await;
            counts(&server, 0).await;
        }
        frames.reset(stream).await;
        counts(&server, 0).await;
    }
}
