//! Requests that hyper never sees.

use super::*;

impl<S: Serve> Http<S> {
    /// Has a client ask something, and returns the response's end. Hyper has no part in it.
    async fn outside(&mut self, theirs: &mut DuplexStream, request: &str, end: &str) -> String {
        theirs.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            tokio::select! {
                biased;
                _ = poll_fn(|cx| {
                    let polled = Pin::new(&mut *self).poll(cx);
                    assert!(!matches!(self.stage, Stage::Inside(_)), "{request}");
                    polled
                }) => panic!("the connection goes on"),
                read = theirs.read_buf(&mut answer) => assert_ne!(read.unwrap(), 0),
            }
        }
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn usual_requests_do_without_hyper() {
    let (mut http, mut theirs) = serve(SECOND, counting());
    for (request, end) in [
        (GET, "\r\n\r\n<0>"),
        ("POST /a?b HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\nContent-Length: 4\r\n\r\nbody", "<4>"),
        ("POST / HTTP/1.1\r\nhost: x\r\nContent-Length: 0\r\n\r\n", "<0>"),
        ("POST / HTTP/1.1\r\nhost: x\r\n\r\n", "<0>"),
        ("GET / HTTP/1.1\r\nhost: x\r\nA: \u{e4}\r\nA: b\r\n\r\n", "<0>"),
        (GET, "\r\n\r\n<0>"),
    ] {
        let answer = http.outside(&mut theirs, request, end).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nDate: "), "{answer}");
        assert!(is_idle(&http.stage));
        // However long the next one takes.
        http.goes_on(IDLE_TIMEOUT * 9 / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unusual_is_hypers() {
    for request in [
        "HEAD / HTTP/1.1\r\nhost: x\r\n\r\n",
        "PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        "GET / HTTP/1.0\r\nhost: x\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, upgrade\r\nupgrade: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nxx",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\nx",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n y\r\n\r\n",
        "GET /<x> HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n\n",
        "G",
    ] {
        assert!(usual::read(request.as_bytes()).is_none(), "{request}");
        let (mut http, mut theirs) = serve(SECOND, counting());
        theirs.write_all(request.as_bytes()).await.unwrap();
        let hyper = poll_fn(|cx| {
            let ended = Pin::new(&mut http).poll(cx).is_ready();
            if ended || matches!(http.stage, Stage::Inside(_) | Stage::Upgradeable(_)) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        assert!(timeout(SECOND, hyper).await.is_ok(), "{request}");
    }
    let lines = "a: b\r\n".repeat(70);
    assert!(usual::read(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_takes_little_room_and_no_timer() {
    let (service, release) = waiting();
    let (mut http, mut theirs) = serve(SECOND, service);
    http.goes_on(SECOND / 2).await;
    for wait in [5 * SECOND, SECOND / 100, 3 * IDLE_TIMEOUT] {
        theirs.write_all(GET.as_bytes()).await.unwrap();
        http.until(|stage| matches!(stage, Stage::Waiting(_))).await;
        assert_eq!(http.raw_headers.request(), b"", "its header is released");
        http.goes_on(wait).await;
        assert!(matches!(http.stage, Stage::Waiting(_)));
        assert!(wait < SECOND || http.rest_timer.is_none());
        assert!(size_of_val(&http) < 1024);
        release.notify_one();
        http.answers(&mut theirs, "\r\n\r\nhello").await;
    }
    // A client that is gone cancels it.
    theirs.write_all(GET.as_bytes()).await.unwrap();
    http.until(|stage| matches!(stage, Stage::Waiting(_))).await;
    drop(theirs);
    let start = Instant::now();
    assert!((&mut http).await.is_err());
    assert_eq!(start.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_behind_the_response_under_way() {
    for stage in [EndingStage::Leaving, EndingStage::Ending] {
        for is_answered in [false, true] {
            let body = "x".repeat(20_000);
            let service = service_fn(move |_: Request| {
                let body = body.clone();
                Box::pin(async move {
                    sleep(SECOND).await;
                    Ok::<_, Infallible>(Response::new(Full::from(body)))
                })
            });
            let (mut http, mut theirs) = serve(SECOND, service);
            theirs.write_all(GET.as_bytes()).await.unwrap();
            http.goes_on(if is_answered { 2 * SECOND } else { SECOND / 2 }).await;
            assert_eq!(matches!(http.stage, Stage::Answering(_)), is_answered);
            http.change(stage);
            // The end of the header is written already: the next response is the last.
            let goes_on = is_answered && stage == EndingStage::Leaving;
            let mut answer = Vec::new();
            let ended = timeout(5 * SECOND, async {
                let mut http = std::pin::pin!(http);
                let mut is_over = false;
                while !is_over || answer.len() < 20_000 {
                    tokio::select! {
                        _ = &mut http, if !is_over => is_over = true,
                        _ = theirs.read_buf(&mut answer) => {}
                    }
                }
            });
            assert_eq!(ended.await.is_err(), goes_on, "{stage:?} {is_answered}");
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.ends_with("xxx"), "{answer}");
            assert_eq!(answer.contains("\r\nConnection: close\r\n"), !is_answered, "{stage:?}");
        }
    }
}
