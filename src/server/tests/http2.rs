//! HTTP/2, by raw frames and by hyper's own client.

use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsConnector;

use super::*;

mod ahead;
mod bounds;
mod frames;
mod goaway;
mod heads;
mod limits;
mod messages;
mod receipts;

use frames::{Frame, Frames, Kind};

use crate::transport::ClientUpgrade;

#[tokio::test]
async fn requests_of_one_connection_do_not_wait_for_each_other() {
    let (parked, own) = Parked::new();
    let server = Running::start(h2c(), move |request: Request| {
        let own = Arc::clone(&own);
        async move { if request.uri().path() == "/park" { own.wait().await } else { hello(request).await } }
    });
    let mut client = connect(&server).await;
    let waits = client.send_request(get("/park"));
    parked.entered().await;
    for _ in 0..3 {
        let answer = client.send_request(get("/")).await.unwrap();
        assert_eq!(answer.headers()["content-length"], "5");
        assert!(answer.headers().contains_key("date"));
        assert_eq!(text(answer).await, "hello");
    }
    parked.release.notify_waiters();
    assert_eq!(text(waits.await.unwrap()).await, "parked");
}

#[tokio::test]
async fn tls_clients_are_offered_http2_unless_it_is_switched_off() {
    let (settings, _files, certificate) = tls::settings();
    for http2 in [true, false, true] {
        let mut settings = settings.clone();
        settings.listeners[0].http2 = http2;
        let server = Running::start(settings, hello);
        for offer in [&[&b"h2"[..], b"http/1.1"][..], &[b"http/1.1"], &[]] {
            let mut config = (*tls::trusting(&certificate)).clone();
            config.alpn_protocols = offer.iter().map(|one| one.to_vec()).collect();
            let stream = server.connect().await.0;
            let stream = TlsConnector::from(Arc::new(config)).connect(tls::name(), stream).await.unwrap();
            let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            let expected = if http2 { offer.first() } else { offer.last() };
            assert_eq!(chosen.as_deref(), expected.copied(), "{http2}");
            if chosen.is_some_and(|chosen| chosen == b"h2") {
                let mut client = speak(stream).await;
                assert_eq!(text(client.send_request(get("/")).await.unwrap()).await, "hello");
            } else {
                assert!(Client(stream).ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("hello"));
            }
        }
    }
}

#[tokio::test]
async fn http2_in_the_clear_is_switched_on_and_recognised_byte_by_byte() {
    let server = Running::start(h2c(), hello);
    let mut slow = server.connect().await;
    for byte in frames::PREFACE.iter().take(6) {
        slow.0.write_all(&[*byte]).await.unwrap();
        // So that each comes by itself.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slow.0.write_all(&frames::PREFACE[6..]).await.unwrap();
    let mut frames = Frames(slow.0);
    frames.write(Kind::SETTINGS, 0, 0, &[]).await;
    frames.get(1, "/").await;
    assert_eq!(frames.body(1).await, b"hello");
    // HTTP/1.1 is spoken there too, and methods may begin with the same letters.
    for method in ["GET", "P", "PRINT"] {
        let request = format!("{method} / HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(server.connect().await.ask(&request).await.ends_with("hello"), "{method}");
    }
    let server = Running::start(settings(), hello);
    let mut client = server.connect().await;
    client.0.write_all(frames::PREFACE).await.unwrap();
    assert_eq!(client.rest().await, "", "hyper closes such a connection");
}

#[tokio::test]
async fn a_connection_that_is_silent_before_its_protocol_is_known_is_closed() {
    let limits = ConnectionLimits { header_timeout: impatient().idle_timeout, ..ConnectionLimits::default() };
    let server = Running::start(cleartext(Settings { limits, ..impatient() }), hello);
    for begun in ["", "P", "PRI", "GET"] {
        let mut client = server.connect().await;
        client.write(begun).await;
        assert!(!client.rest().await.contains("200 OK"), "{begun}");
    }
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_answers_what_waits() {
    for leaves in [true, false] {
        let (server, parked) = Running::park(h2c());
        let mut frames = Frames::connect(&server, &[]).await;
        frames.get(1, "/").await;
        parked.entered().await;
        if leaves {
            server.signals.leave.cancel();
        } else {
            server.signals.end.cancel();
        }
        frames.until(Kind::GOAWAY).await;
        parked.release.notify_waiters();
        assert_eq!(frames.body(1).await, b"parked");
        assert!(frames.ends().await);
        server.signals.end.cancel();
        server.ended().await;
    }
}

#[tokio::test]
async fn a_cut_ends_what_waits() {
    let (server, parked) = Running::park(h2c());
    let mut frames = Frames::connect(&server, &[]).await;
    frames.get(1, "/").await;
    parked.entered().await;
    server.signals.cut.cancel();
    parked.left().await;
    server.ended().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_its_own_request_only() {
    let (server, parked) = Running::park(h2c());
    let mut frames = Frames::connect(&server, &[]).await;
    frames.get(1, "/").await;
    parked.entered().await;
    frames.get(3, "/").await;
    parked.entered().await;
    frames.reset(1).await;
    parked.left().await;
    parked.release.notify_waiters();
    assert_eq!(frames.body(3).await, b"parked");
}

#[tokio::test]
async fn the_answer_to_head_has_a_length_and_no_body() {
    let server = Running::start(h2c(), hello);
    let mut client = connect(&server).await;
    let request = http::Request::head("http://x/").body(Full::<Bytes>::default()).unwrap();
    let answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["content-length"], "5");
    assert_eq!(text(answer).await, "");
}

#[tokio::test]
async fn a_body_is_streamed_to_the_service() {
    let service = |request: Request| async {
        Ok::<_, hyper::Error>(Response::new(Full::new(request.into_body().collect().await?.to_bytes())))
    };
    let server = Running::start(h2c(), service);
    let mut client = connect(&server).await;
    // More than any window.
    let long = "long".repeat(1 << 20);
    let request = http::Request::post("http://x/").body(Full::from(long.clone())).unwrap();
    assert_eq!(text(client.send_request(request).await.unwrap()).await, long);
}

#[tokio::test]
async fn headers_about_a_connection_are_refused() {
    let server = Running::start(h2c(), hello);
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
    ] {
        let mut frames = Frames::connect(&server, &[]).await;
        frames
            .headers(1, &[&frames::request("GET", "/", "x")[..], &frames::header(name, value)].concat())
            .await;
        let Frame { kind, stream, .. } = frames.until(Kind::RESET).await;
        assert_eq!((kind, stream), (Kind::RESET, 1), "{name}");
        frames.get(3, "/").await;
        assert_eq!(frames.body(3).await, b"hello", "{name}");
    }
    let mut frames = Frames::connect(&server, &[]).await;
    let te = frames::header("te", "trailers");
    frames.headers(1, &[&frames::request("GET", "/", "x")[..], &te].concat()).await;
    assert_eq!(frames.body(1).await, b"hello");
}

#[tokio::test]
async fn a_panic_takes_its_own_connection_and_no_other() {
    let service = |request: Request| {
        assert_eq!(request.uri().path(), "/", "this test panics on purpose");
        hello(request)
    };
    let server = Running::start(h2c(), service);
    let mut unlucky = connect(&server).await;
    assert!(unlucky.send_request(get("/panic")).await.is_err());
    assert_eq!(text(connect(&server).await.send_request(get("/")).await.unwrap()).await, "hello");
}

#[tokio::test]
async fn a_web_socket_is_a_stream_of_the_connection() {
    let server = Running::start(h2c(), accept_and_echo);
    let mut frames = Frames::connect(&server, &[]).await;
    let settings = frames.until(Kind::SETTINGS).await;
    // SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441, section 3).
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 8, 0, 0, 0, 1]), "{settings:?}");
    for (stream, protocol) in [(1, "websocket"), (3, "WebSocket")] {
        frames.write(Kind::HEADERS, frames::END_HEADERS, stream, &frames::connect("/", protocol)).await;
        let answer = frames.until(Kind::HEADERS).await;
        assert_eq!((answer.payload[0], answer.flags & frames::END_STREAM), (0x88, 0), "200, and it goes on");
        frames.write(Kind::DATA, 0, stream, b"over ").await;
        frames.write(Kind::DATA, frames::END_STREAM, stream, b"HTTP/2").await;
        assert_eq!(frames.body(stream).await, b"over HTTP/2");
    }
    frames.write(Kind::HEADERS, frames::END_HEADERS, 5, &frames::connect("/refuse", "websocket")).await;
    let answer = frames.until(Kind::HEADERS).await;
    assert!(answer.payload.windows(3).any(|text| text == b"403") || answer.payload[0] != 0x88, "{answer:?}");
}

#[tokio::test]
async fn a_burst_of_short_messages_is_no_attack() {
    let server = Running::start(h2c(), accept_and_echo);
    let mut frames = Frames::connect(&server, &[]).await;
    frames.write(Kind::HEADERS, frames::END_HEADERS, 1, &frames::connect("/", "websocket")).await;
    frames.until(Kind::HEADERS).await;
    // Each in a frame of its own, as Firefox sends them.
    let message = [&[0, 0, 8, Kind::DATA.0, 0, 0, 0, 0, 1][..], b"message!"].concat();
    frames.0.write_all(&message.repeat(5000)).await.unwrap();
    frames.write(Kind::DATA, frames::END_STREAM, 1, b"").await;
    assert_eq!(frames.body(1).await, b"message!".repeat(5000));
}

#[tokio::test]
async fn a_web_socket_whose_window_never_opens_stalls_by_itself() {
    let server = Running::start_each(h2c(), |info: ConnectInfo| {
        info.patience.set(Duration::from_millis(300));
        service_fn(|request| Box::pin(accept_and_echo(request)))
    });
    let mut frames = Frames::connect(&server, &[(frames::INITIAL_WINDOW, 0)]).await;
    frames.write(Kind::HEADERS, frames::END_HEADERS, 1, &frames::connect("/flood", "websocket")).await;
    assert_eq!(frames.until(Kind::RESET).await.stream, 1);
    frames.get(3, "/other").await;
    frames.open(3, 100).await;
    assert_eq!(frames.body(3).await, b"hello");
}

/// Accepts a handshake of RFC 6455, and echoes what comes behind it.
async fn accept_and_echo(request: Request) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let Some(key) = request.headers().get("sec-websocket-key").cloned() else { return hello(request).await };
    assert_eq!(request.method(), "GET");
    assert_eq!(request.headers()["host"], "x");
    let mut response = Response::new(Full::from("refused"));
    *response.status_mut() = StatusCode::FORBIDDEN;
    if path == "/refuse" {
        return Ok(response);
    }
    let upgrade = ClientUpgrade::take(&mut request.into_parts().0).unwrap();
    TaskTracker::new().spawn(async move {
        let (mut duplex, _) = upgrade.stream().await.unwrap();
        let mut read = Vec::new();
        if path == "/flood" {
            while duplex.write_all(&[0; 1 << 10]).await.is_ok() {}
            return;
        }
        duplex.read_to_end(&mut read).await.unwrap();
        duplex.write_all(&read).await.unwrap();
        duplex.shutdown().await.unwrap();
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    response.headers_mut().insert("sec-websocket-accept", accept.parse().unwrap());
    Ok(response)
}

pub(super) fn h2c() -> Settings {
    cleartext(settings())
}

/// Has clients without TLS speak HTTP/2.
fn cleartext(mut settings: Settings) -> Settings {
    settings.listeners[0].h2c = true;
    settings
}

pub(super) type Asks = SendRequest<Full<Bytes>>;

pub(super) async fn connect(server: &Running) -> Asks {
    speak(server.connect().await.0).await
}

async fn speak<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: T) -> Asks {
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    TaskTracker::new().spawn(connection);
    client
}

pub(super) fn get(path: &str) -> http::Request<Full<Bytes>> {
    http::Request::get(format!("http://x{path}")).body(Full::default()).unwrap()
}

async fn text(answer: Response<hyper::body::Incoming>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Waits until this many bytes are counted of all buffers.
async fn counts(server: &Running, bytes: usize) {
    let line = format!("polliwog_buffers_bytes {bytes}\n");
    let counted = async {
        while !server.metrics.render().contains(&line) {
            // The interval between two looks: no event shows that a frame was read.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, counted).await.is_ok(), "not {bytes}: {}", server.metrics.render());
}
