//! What a client of HTTP/2 may not do.

use super::frames::{END_HEADERS, END_STREAM, INITIAL_WINDOW, frame, header, request};
use super::*;
use crate::address::TrustedProxy;

fn impatient_h2c() -> Settings {
    cleartext(impatient())
}

#[tokio::test]
async fn a_connection_without_requests_is_told_and_closed() {
    let server = Running::start(impatient_h2c(), hello);
    // Nothing behind the settings; a header that never ends; an answer, and then nothing.
    for case in 0..3 {
        let mut frames = Frames::connect(&server, &[]).await;
        match case {
            0 => {}
            1 => frames.write(Kind::HEADERS, END_STREAM, 1, &request("GET", "/", "x")).await,
            _ => {
                frames.get(1, "/").await;
                assert_eq!(frames.body(1).await, b"hello");
            }
        }
        frames.until(Kind::GOAWAY).await;
        assert!(frames.ends().await, "{case}: even though it acknowledges nothing");
    }
}

#[tokio::test]
async fn a_request_that_waits_outlives_the_idle_timeout() {
    let (server, parked) = Running::park(impatient_h2c());
    let mut frames = Frames::connect(&server, &[]).await;
    frames.get(1, "/").await;
    parked.entered().await;
    // A second connection shows that the timeout has passed.
    assert!(Frames::connect(&server, &[]).await.ends().await);
    parked.release.notify_waiters();
    assert_eq!(frames.body(1).await, b"parked");
}

#[tokio::test]
async fn a_client_that_gives_up_one_request_after_another_is_disconnected() {
    let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let server = Running::start(h2c(), move |_: Request| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    // The last has the server reset the stream, for a window that is opened by nothing (section 6.9).
    for (kind, payload, pace) in [
        (Kind::RESET, [0, 0, 0, 8], Duration::ZERO),
        (Kind::RESET, [0, 0, 0, 8], Duration::from_micros(300)),
        (Kind::WINDOW, [0; 4], Duration::from_micros(300)),
    ] {
        let mut frames = Frames::connect(&server, &[]).await;
        for stream in (1..).step_by(2).take(5000) {
            let block = request("GET", "/", "x");
            let sent = frames.try_write(Kind::HEADERS, END_STREAM | END_HEADERS, stream, &block).await;
            if sent.is_err() || frames.try_write(kind, 0, stream, &payload).await.is_err() {
                break;
            }
            if !pace.is_zero() {
                // The pace of the flood.
                tokio::time::sleep(pace).await;
            }
        }
        assert!(frames.ends().await, "{kind:?} {pace:?}");
    }
    let calls = calls.load(std::sync::atomic::Ordering::Relaxed);
    assert!(calls < 450, "{calls} requests were served for nothing");
}

#[tokio::test]
async fn a_proxy_in_front_gives_up_as_many_requests_as_its_clients_do() {
    let settings =
        Settings { trusted_proxies: vec![TrustedProxy::Network("127.0.0.0/8".parse().unwrap())], ..h2c() };
    let never = |_: Request| pending::<Result<Response<Full<Bytes>>, Infallible>>();
    let server = Running::start(settings, never);
    let mut frames = Frames::connect(&server, &[]).await;
    frames.0.set_nodelay(true).unwrap();
    for stream in (1..).step_by(2).take(300) {
        frames.get(stream, "/").await;
        frames.write(Kind::PING, 0, 0, &[7; 8]).await;
        frames.until(Kind::PING).await;
        frames.reset(stream).await;
    }
    frames.write(Kind::PING, 0, 0, &[7; 8]).await;
    frames.until(Kind::PING).await;
}

/// Two polls of a session: the second would answer the first, for a client that has gone.
#[tokio::test]
async fn a_request_that_was_given_up_ends_before_the_one_behind_it_begins() {
    let (asked, answered) = (Arc::new(Notify::new()), Arc::new(Mutex::new(Vec::new())));
    let (seen, said) = (Arc::clone(&asked), Arc::clone(&answered));
    let server = Running::start(h2c(), move |request: Request| {
        let (path, seen, said) = (request.uri().path().to_owned(), Arc::clone(&seen), Arc::clone(&said));
        seen.notify_waiters();
        let replaced = seen.notified_owned();
        async move {
            replaced.await;
            said.lock().unwrap().push(path);
            Ok::<_, Infallible>(Response::new(Full::from("replaced")))
        }
    });
    let mut frames = Frames::connect(&server, &[]).await;
    frames.0.set_nodelay(true).unwrap();
    for stream in [1, 5, 9, 13] {
        frames.get(stream, "/gone").await;
        frames.write(Kind::PING, 0, 0, &[7; 8]).await;
        frames.until(Kind::PING).await;
        let block = request("GET", "/next", "x");
        let behind = frame(Kind::HEADERS, END_STREAM | END_HEADERS, stream + 2, &block);
        frames.0.write_all(&[frame(Kind::RESET, 0, stream, &[0, 0, 0, 8]), behind].concat()).await.unwrap();
        frames.write(Kind::PING, 0, 0, &[7; 8]).await;
        frames.until(Kind::PING).await;
        asked.notify_waiters();
        assert_eq!(frames.body(stream + 2).await, b"replaced");
    }
    assert_eq!(*answered.lock().unwrap(), ["/next"; 4]);
}

#[tokio::test]
async fn more_requests_than_are_served_at_once_are_refused_and_the_others_go_on() {
    let (server, parked) = Running::park(h2c());
    let mut frames = Frames::connect(&server, &[]).await;
    for stream in (1..).step_by(2).take(101) {
        frames.get(stream, "/").await;
    }
    let refused = frames.until(Kind::RESET).await;
    assert_eq!((refused.stream, refused.payload), (201, vec![0, 0, 0, 7]));
    // Its answer shows that the others have begun to wait.
    frames.write(Kind::PING, 0, 0, &[0; 8]).await;
    frames.until(Kind::PING).await;
    parked.release.notify_waiters();
    assert_eq!(frames.body(199).await, b"parked");
}

#[tokio::test]
async fn a_header_as_long_as_with_http1_is_served_and_a_longer_one_refused() {
    let server = Running::start(h2c(), hello);
    for (len, status) in [(30_000, 200), (70_000, 431)] {
        let mut frames = Frames::connect(&server, &[]).await;
        let block = [request("GET", "/", "x"), header("cookie", &"c".repeat(len))].concat();
        let mut parts = block.chunks(16 << 10).peekable();
        frames.write(Kind::HEADERS, END_STREAM, 1, parts.next().unwrap()).await;
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
            frames.write(Kind::CONTINUATION, flags, 1, part).await;
        }
        let answer = frames.until(Kind::HEADERS).await;
        // Indexed 200 (RFC 7541, appendix A), or a literal.
        let is_served = answer.payload.contains(&0x88);
        assert_eq!(is_served, status == 200, "{len}: {answer:?}");
    }
}

#[tokio::test]
async fn floods_of_control_frames_end_the_connection_or_cost_nothing() {
    let server = Running::start(h2c(), hello);
    let endless = [(Kind::CONTINUATION, &[][..]), (Kind::CONTINUATION, &[0x82; 1024])];
    for (kind, payload) in endless {
        let mut frames = Frames::connect(&server, &[]).await;
        frames.write(Kind::HEADERS, END_STREAM, 1, &request("GET", "/", "x")).await;
        while frames.try_write(kind, 0, 1, payload).await.is_ok() {}
    }
    for (kind, payload) in [(Kind::SETTINGS, &[][..]), (Kind::PING, &[7; 8])] {
        let mut frames = Frames::connect(&server, &[]).await;
        // Answers are not read meanwhile: the server stops reading at some point.
        let flood = async {
            for _ in 0..100_000 {
                if frames.try_write(kind, 0, 0, payload).await.is_err() {
                    break;
                }
            }
        };
        let _ = timeout(Duration::from_secs(1), flood).await;
        assert!(server.connect().await.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
    }
}

#[tokio::test]
async fn a_response_whose_window_never_opens_ends_and_the_others_go_on() {
    // Longer than what hyper hands to the stream at once, or sent with the stream's end.
    for (len, window) in [(5, 0), (100_000, 0), (100_000, 10)] {
        let over = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&over);
        let server = Running::start_each(h2c(), move |info: ConnectInfo| {
            info.patience.set(Duration::from_millis(300));
            seen.lock().unwrap().push(info.patience);
            let answer = move |_: Request| async move {
                Ok::<_, Infallible>(Response::new(Full::from(vec![b'x'; len])))
            };
            service_fn(move |request| Box::pin(answer(request)))
        });
        let mut frames = Frames::connect(&server, &[(INITIAL_WINDOW, window)]).await;
        frames.get(1, "/").await;
        let reset = frames.until(Kind::RESET).await;
        assert_eq!((reset.stream, over.lock().unwrap()[0].is_over()), (1, true), "{len} {window}");
        frames.get(3, "/").await;
        frames.open(3, 200_000).await;
        frames.open(0, 200_000).await;
        assert_eq!(frames.body(3).await.len(), len);
        assert!(!over.lock().unwrap()[1].is_over());
    }
}

#[tokio::test]
async fn a_short_response_that_is_half_taken_ends_the_connection() {
    let server = Running::start_each(h2c(), |info: ConnectInfo| {
        info.patience.set(Duration::from_millis(300));
        service_fn(|request| Box::pin(hello(request)))
    });
    let mut frames = Frames::connect(&server, &[(INITIAL_WINDOW, 2)]).await;
    frames.get(1, "/").await;
    assert!(frames.ends().await, "hyper can't reset a stream that it has finished");
}

#[tokio::test]
async fn a_client_that_takes_a_little_now_and_then_is_waited_for() {
    let server = Running::start_each(h2c(), |info: ConnectInfo| {
        info.patience.set(Duration::from_millis(500));
        service_fn(|request| Box::pin(hello(request)))
    });
    let mut frames = Frames::connect(&server, &[(INITIAL_WINDOW, 0)]).await;
    frames.get(1, "/").await;
    for byte in b"hello" {
        // Less than its limit, and more than that all in all.
        tokio::time::sleep(Duration::from_millis(200)).await;
        frames.open(1, 1).await;
        assert_eq!(frames.until(Kind::DATA).await.payload, [*byte]);
    }
}
