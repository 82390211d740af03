//! When a connection rests, and how a rest ends.

use super::*;

impl<S: Serve> Http<S> {
    /// Goes on until it rests.
    async fn rested(&mut self) -> Resting {
        poll_fn(|cx| {
            assert!(Pin::new(&mut *self).poll(cx).is_pending(), "the connection goes on");
            self.rest().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

async fn ended(mut resting: Resting) -> Rested {
    poll_fn(|cx| resting.poll(cx)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_rests_once_it_was_idle_for_long_enough() {
    for request in ["", GET, HYPERS_GET] {
        let (mut http, mut theirs) = serve(SECOND, counting());
        if !request.is_empty() {
            // Not so long that it rests before.
            for _ in 0..20 {
                http.goes_on(SECOND * 19 / 20).await;
                assert!(http.rest().is_none());
                theirs.write_all(request.as_bytes()).await.unwrap();
                http.answers(&mut theirs, "<0>").await;
            }
        }
        let start = Instant::now();
        let resting = http.rested().await;
        let after = start.elapsed();
        // Hyper's first second is not always counted from the response.
        let millisecond = Duration::from_millis(1);
        assert!(after + millisecond >= RESTS_AFTER && after <= RESTS_AFTER + SECOND, "{after:?}");
        assert!(timeout(SECOND, http).await.is_ok(), "nothing is left of it");
        theirs.write_all(b"GET / HT").await.unwrap();
        let Rested { mut io, is_over, .. } = ended(resting).await;
        assert!(!is_over);
        let mut begun = [0; 8];
        io.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"GET / HT");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rest_ends_with_the_connection() {
    // By its timeout, by its client, and by the server.
    for (how, seconds) in [("time", IDLE_TIMEOUT.as_secs()), ("client", 6), ("server", 6)] {
        let (mut http, mut theirs) = serve(SECOND, counting());
        theirs.write_all(GET.as_bytes()).await.unwrap();
        http.answers(&mut theirs, "<0>").await;
        let start = Instant::now();
        let mut resting = http.rested().await;
        assert!(timeout(2 * SECOND, poll_fn(|cx| resting.poll(cx))).await.is_err(), "it goes on");
        match how {
            "client" => theirs.shutdown().await.unwrap(),
            "server" => resting.end(),
            _ => {}
        }
        assert!(ended(resting).await.is_over, "{how}");
        assert_eq!(start.elapsed().as_secs(), seconds, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_does_not_rest_where_the_next_request_may_not_begin_with_what_comes() {
    let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    for request in [chunked.to_owned(), format!("{chunked}{HYPERS_GET}")] {
        let (mut http, mut theirs) = serve(SECOND, counting());
        theirs.write_all(request.as_bytes()).await.unwrap();
        http.answers(&mut theirs, ">").await;
        assert!(timeout(IDLE_TIMEOUT / 2, http.rested()).await.is_err(), "{request}");
    }
}

const RESTS_AFTER: Duration = Duration::from_secs(4);
