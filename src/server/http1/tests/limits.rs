//! What a client may make of one connection.

use tokio_util::task::TaskTracker;

use super::*;
use crate::limited::Limit;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the limit that has ended a connection, after what its client has read meanwhile.
async fn ended<S: Serve>(mut http: Http<S>, theirs: &mut DuplexStream) -> (String, Option<Limit>) {
    let mut answer = Vec::new();
    let ended = async {
        let ended = (&mut http).await;
        // Its client reads to the end.
        drop(http);
        ended
    };
    let (read, ended) = tokio::join!(theirs.read_to_end(&mut answer), ended);
    read.unwrap();
    let limit = ended.err().and_then(|error| error.downcast_ref().map(|Exceeded(limit)| *limit));
    (String::from_utf8(answer).unwrap(), limit)
}

#[tokio::test(start_paused = true)]
async fn a_header_that_trickles_in_is_answered_408_whatever_came_before() {
    let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    for (before, idle) in [
        (&[][..], 0),
        (&[], 45),
        (&[GET], 3),
        (&[GET], 45),
        (&[HYPERS_GET], 0),
        (&[HYPERS_GET], 45),
        (&[chunked], 0),
        (&[chunked, GET], 45),
        (&[upgrade], 45),
    ] {
        let (mut http, mut theirs) = serve(SECOND, counting());
        for request in before {
            theirs.write_all(request.as_bytes()).await.unwrap();
            http.answers(&mut theirs, ">").await;
        }
        http.goes_on(idle * SECOND).await;
        let start = Instant::now();
        let drip = async {
            for byte in GET.trim_end().bytes().cycle() {
                if theirs.write_all(&[byte]).await.is_err() {
                    break;
                }
                sleep(SECOND / 2).await;
            }
        };
        tokio::select! {
            () = drip => panic!("it takes no more"),
            limit = &mut http => {
                let error = limit.unwrap_err();
                assert!(matches!(error.downcast_ref(), Some(Exceeded(Limit::HeaderTimeout))), "{error}");
            }
        }
        assert_eq!(start.elapsed().as_secs(), HEADER_TIMEOUT.as_secs(), "{before:?} {idle}");
        drop(http);
        let mut answer = String::new();
        theirs.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthe request's header took too long\n"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_header_has_its_own_time_and_a_body_none_of_it() {
    let (mut http, mut theirs) = serve(SECOND, counting());
    for request in [HYPERS_GET, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n"] {
        let (first, rest) = request.split_at(5);
        theirs.write_all(first.as_bytes()).await.unwrap();
        http.goes_on(HEADER_TIMEOUT * 9 / 10).await;
        theirs.write_all(rest.as_bytes()).await.unwrap();
        if request == HYPERS_GET {
            http.answers(&mut theirs, "<0>").await;
        }
    }
    http.goes_on(IDLE_TIMEOUT * 9 / 10).await;
    for _ in 0..3 {
        theirs.write_all(&[b'x'; 3000]).await.unwrap();
        // More than its time may pass, and the last piece is answered.
        let _goes_on = timeout(HEADER_TIMEOUT, &mut http).await.expect_err("the body goes on");
    }
    let mut answer = [0; 512];
    let len = theirs.read(&mut answer).await.unwrap();
    assert!(answer[..len].ends_with(b"<9000>"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_goes_on_behind_its_response_is_no_header() {
    let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let service = service_fn(move |request: Request| {
        let kept = Arc::clone(&kept);
        Box::pin(async move {
            // Read on after the response, as by a backend that answers early.
            let mut body = request.into_body();
            kept.lock().unwrap().push(TaskTracker::new().spawn(async move {
                let mut len = 0;
                while len < 400 {
                    let Some(Ok(frame)) = body.frame().await else { break };
                    len += frame.data_ref().map_or(0, Bytes::len);
                }
                len
            }));
            Ok::<_, Infallible>(Response::new(Full::from("early")))
        })
    });
    let (mut http, mut theirs) = serve(SECOND, service);
    theirs.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\r\n").await.unwrap();
    http.answers(&mut theirs, "early").await;
    for _ in 0..4 {
        theirs.write_all(&[b'x'; 100]).await.unwrap();
        http.goes_on(HEADER_TIMEOUT * 9 / 10).await;
    }
    let body = bodies.lock().unwrap().pop().unwrap();
    assert_eq!(body.await.unwrap(), 400);
    http.goes_on(2 * HEADER_TIMEOUT).await;
    theirs.write_all(HYPERS_GET.as_bytes()).await.unwrap();
    http.answers(&mut theirs, "early").await;
}

#[tokio::test(start_paused = true)]
async fn a_header_over_a_limit_is_refused_whoever_reads_it() {
    let limits =
        ConnectionLimits { header_max: 300, header_lines: 5, target_max: 20, ..ConnectionLimits::default() };
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(300));
    let lines = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(5));
    let target = "GET /?23456789012345678901 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
    for (request, status, limit) in [
        (long, "431 Request Header Fields Too Large", Limit::HeaderMax),
        (lines, "431 Request Header Fields Too Large", Limit::HeaderLines),
        (target, "414 URI Too Long", Limit::TargetMax),
    ] {
        for hypers in ["", "connection: x\r\n"] {
            for before in ["", GET, HYPERS_GET] {
                let (mut http, mut theirs) = serve_within(limits, SECOND, counting());
                if !before.is_empty() {
                    theirs.write_all(before.as_bytes()).await.unwrap();
                    http.answers(&mut theirs, "<0>").await;
                }
                let request = request.replace("host: x\r\n", &format!("host: x\r\n{hypers}"));
                theirs.write_all(request.as_bytes()).await.unwrap();
                let (answer, exceeded) = ended(http, &mut theirs).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
                assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
                assert_eq!(exceeded, Some(limit), "{request}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_so_many_requests_whoever_reads_them() {
    let limits = ConnectionLimits { connection_requests: 4, ..ConnectionLimits::default() };
    for pattern in 0..16 {
        let (mut http, mut theirs) = serve_within(limits, SECOND, counting());
        for number in 0..4 {
            let request = if pattern >> number & 1 == 0 { GET } else { HYPERS_GET };
            theirs.write_all(request.as_bytes()).await.unwrap();
            if number == 3 {
                break;
            }
            let answer = http.answers(&mut theirs, "<0>").await;
            assert!(!answer.contains("onnection"), "{pattern} {number}: {answer}");
            // Now and then the connection leaves hyper in between.
            http.goes_on(if pattern % 3 == 0 { 3 * SECOND } else { SECOND / 10 }).await;
        }
        let (answer, _) = ended(http, &mut theirs).await;
        assert!(answer.contains("onnection: close\r\n") && answer.ends_with("<0>"), "{pattern}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_behind_the_next_response_once_it_is_old() {
    let limits = ConnectionLimits { connection_lifetime: IDLE_TIMEOUT / 2, ..ConnectionLimits::default() };
    for request in [GET, HYPERS_GET] {
        let (mut http, mut theirs) = serve_within(limits, SECOND, counting());
        for _ in 0..2 {
            theirs.write_all(request.as_bytes()).await.unwrap();
            let answer = http.answers(&mut theirs, "<0>").await;
            assert!(!answer.contains("onnection"), "{answer}");
            http.goes_on(IDLE_TIMEOUT / 3).await;
        }
        theirs.write_all(request.as_bytes()).await.unwrap();
        let (answer, _) = ended(http, &mut theirs).await;
        assert!(answer.contains("onnection: close\r\n") && answer.ends_with("<0>"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_outlives_its_connections_time() {
    let (service, release) = waiting();
    let limits = ConnectionLimits { connection_lifetime: SECOND, ..ConnectionLimits::default() };
    let (mut http, mut theirs) = serve_within(limits, SECOND, service);
    theirs.write_all(GET.as_bytes()).await.unwrap();
    http.goes_on(IDLE_TIMEOUT * 2).await;
    release.notify_one();
    let (answer, _) = ended(http, &mut theirs).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    assert!(answer.contains("onnection: close\r\n"), "{answer}");
}
