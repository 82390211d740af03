//! How long and how large a header section may be, and how long a connection is used.

use super::frames::{END_HEADERS, END_STREAM, header, request};
use super::*;
use crate::limited::Limit;

fn within(limits: ConnectionLimits) -> Settings {
    Settings { limits, ..h2c() }
}

#[tokio::test]
async fn what_must_come_whole_and_does_not_ends_its_connection() {
    let limits =
        ConnectionLimits { header_timeout: Duration::from_millis(300), ..ConnectionLimits::default() };
    let (server, parked) = Running::park(within(limits));
    for begun in 0..5 {
        // Without its settings.
        let mut silent = server.connect().await;
        silent.0.write_all(frames::PREFACE).await.unwrap();
        let mut frames = Frames::connect(&server, &[]).await;
        frames.get(1, "/").await;
        parked.entered().await;
        let block = request("GET", "/", "x");
        match begun {
            0 => frames.write(Kind::HEADERS, END_STREAM, 3, &block).await,
            1 => {
                frames.write(Kind::HEADERS, END_STREAM, 3, &block).await;
                frames.write(Kind::CONTINUATION, 0, 3, &header("a", "b")).await;
            }
            2 => frames.0.write_all(&frame_begun(&block)).await.unwrap(),
            3 => frames.0.write_all(b"\0\0\x08\x06").await.unwrap(),
            _ => frames.0.write_all(b"\0\0\x08\x06\0\0\0\0\0ping").await.unwrap(),
        }
        assert!(frames.ends().await, "{begun}: although a request waits there");
        parked.left().await;
        assert!(!silent.rest().await.contains("200"));
    }
}

fn frame_begun(block: &[u8]) -> Vec<u8> {
    let whole = frames::frame(Kind::HEADERS, END_STREAM | END_HEADERS, 3, block);
    whole[..whole.len() - 1].to_vec()
}

#[tokio::test]
async fn data_may_come_bit_by_bit() {
    let limits =
        ConnectionLimits { header_timeout: Duration::from_millis(500), ..ConnectionLimits::default() };
    let server = Running::start(within(limits), |request: Request| async {
        Ok::<_, hyper::Error>(Response::new(Full::new(request.into_body().collect().await?.to_bytes())))
    });
    let mut frames = Frames::connect(&server, &[]).await;
    frames.0.set_nodelay(true).unwrap();
    frames.write(Kind::HEADERS, END_HEADERS, 1, &request("POST", "/", "x")).await;
    let data = frames::frame(Kind::DATA, END_STREAM, 1, b"0123456789");
    frames.0.write_all(&data[..12]).await.unwrap();
    // Longer than a header may take.
    tokio::time::sleep(2 * limits.header_timeout).await;
    frames.0.write_all(&data[12..]).await.unwrap();
    assert_eq!(frames.body(1).await, b"0123456789");
}

#[tokio::test]
async fn a_header_section_over_a_limit_is_refused_and_the_connection_goes_on() {
    let limits = ConnectionLimits { header_lines: 5, target_max: 20, ..ConnectionLimits::default() };
    let server = Running::start(within(limits), hello);
    let mut client = connect(&server).await;
    let lines = (0..6).fold(http::Request::builder().uri("http://x/"), |request, _| request.header("a", "b"));
    for (request, status) in
        [(lines.body(Full::default()).unwrap(), 431), (get("/?23456789012345678901"), 414), (get("/"), 200)]
    {
        assert_eq!(client.send_request(request).await.unwrap().status(), status);
    }
    let counted = server.metrics.render();
    for limit in [Limit::HeaderLines, Limit::TargetMax] {
        let line = format!("polliwog_limited_total{{limit=\"{}\"}} 1\n", limit.word());
        assert!(counted.contains(&line), "{counted}");
    }
}

#[tokio::test]
async fn a_client_is_told_that_a_connection_has_had_enough_requests_or_time() {
    let some = ConnectionLimits { connection_requests: 2, ..ConnectionLimits::default() };
    let old =
        ConnectionLimits { connection_lifetime: Duration::from_millis(300), ..ConnectionLimits::default() };
    for limits in [some, old] {
        let (server, parked) = Running::park(within(limits));
        let mut frames = Frames::connect(&server, &[]).await;
        for stream in [1, 3] {
            frames.get(stream, "/").await;
            parked.entered().await;
        }
        frames.until(Kind::GOAWAY).await;
        // Which ends nothing that is under way.
        parked.release.notify_waiters();
        assert_eq!(frames.body(1).await, b"parked");
        assert_eq!(frames.body(3).await, b"parked");
        assert!(frames.ends().await);
    }
}

#[tokio::test]
async fn what_is_read_ahead_of_a_request_counts_until_it_takes_it_or_is_over() {
    let go = Arc::new(Notify::new());
    let reads = Arc::clone(&go);
    let server = Running::start(h2c(), move |request: Request| {
        let reads = Arc::clone(&reads);
        async move {
            reads.notified().await;
            if request.uri().path() == "/read" {
                request.into_body().collect().await?;
            }
            Ok::<_, hyper::Error>(Response::new(Full::from("answered")))
        }
    });
    let mut frames = Frames::connect(&server, &[]).await;
    for (stream, path) in [(1, "/read"), (3, "/refuse"), (5, "/read")] {
        frames.write(Kind::HEADERS, END_HEADERS, stream, &request("POST", path, "x")).await;
        for _ in 0..4 {
            frames.write(Kind::DATA, 0, stream, &[7; 10_000]).await;
        }
        counts(&server, 40_000).await;
        go.notify_one();
        if path == "/read" {
            counts(&server, 0).await;
            frames.write(Kind::DATA, END_STREAM, stream, b"the end").await;
        }
        assert_eq!(frames.body(stream).await, b"answered");
        counts(&server, 0).await;
    }
    // What has come when the connection ends.
    frames.write(Kind::HEADERS, END_HEADERS, 7, &request("POST", "/", "x")).await;
    frames.write(Kind::DATA, 0, 7, &[7; 10_000]).await;
    counts(&server, 10_000).await;
    drop(frames);
    counts(&server, 0).await;
}
