//! How clients of HTTP/2 are told to use another connection.

use tokio_rustls::client::TlsStream;

use super::frames::END_STREAM;
use super::*;
use crate::duplex::{Patience, RawHeaders};
use crate::server::http2::Http2;
use crate::tls::Identity;

const CONNECTION_CLOSE: &str = "connection: close\r\n";

/// Returns the frames up to the answer to a PING that is sent now.
async fn until_pong<T: AsyncRead + AsyncWrite + Unpin>(frames: &mut Frames<T>) -> Vec<Kind> {
    frames.write(Kind::PING, 0, 0, b"question").await;
    let mut kinds = Vec::new();
    loop {
        let frame = frames.next().await.expect("the connection goes on");
        if frame.kind == Kind::PING && frame.payload == b"question" {
            return kinds;
        }
        kinds.push(frame.kind);
    }
}

/// Takes the two steps of a gentle GOAWAY: one that names no stream, and one behind the answer to a PING. Returns the
/// last stream that is served.
async fn obey<T: AsyncRead + AsyncWrite + Unpin>(frames: &mut Frames<T>) -> u32 {
    let goaway = frames.until(Kind::GOAWAY).await;
    assert_eq!(goaway.payload[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], "any stream, no error");
    let ping = frames.until(Kind::PING).await;
    frames.write(Kind::PING, 1, 0, &ping.payload).await;
    let goaway = frames.until(Kind::GOAWAY).await;
    u32::from_be_bytes(*goaway.payload.first_chunk().unwrap())
}

#[tokio::test]
async fn a_drain_tells_the_clients_that_are_connected_and_serves_those_that_come() {
    let (server, parked) = Running::park(h2c());
    let mut before = Frames::connect(&server, &[]).await;
    before.get(1, "/").await;
    parked.entered().await;
    let mut http1 = server.connect().await;
    http1.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    parked.entered().await;
    server.signals.drain.cancel();
    assert_eq!(obey(&mut before).await, 1);
    // What comes too late is not served, and its client knows that by its number.
    before.get(3, "/").await;
    let mut after = Frames::connect(&server, &[]).await;
    after.get(1, "/").await;
    parked.entered().await;
    assert!(!until_pong(&mut after).await.contains(&Kind::GOAWAY), "a new one has nowhere better to go");
    parked.release.notify_waiters();
    assert_eq!(before.body(1).await, b"parked");
    assert!(before.ends().await);
    assert_eq!(after.body(1).await, b"parked");
    let answer = http1.answer().await;
    assert!(answer.ends_with("parked") && !answer.to_lowercase().contains(CONNECTION_CLOSE), "{answer}");
    // Those that came meanwhile are told when the server ends.
    server.signals.end.cancel();
    assert_eq!(obey(&mut after).await, 1);
    assert!(after.ends().await);
    server.ended().await;
}

#[tokio::test]
async fn a_byte_stream_goes_on_behind_a_goaway() {
    for leaves in [true, false] {
        let server = Running::start(h2c(), accept_and_echo);
        let mut frames = Frames::connect(&server, &[]).await;
        frames.write(Kind::HEADERS, frames::END_HEADERS, 1, &frames::connect("/", "websocket")).await;
        frames.until(Kind::HEADERS).await;
        if leaves {
            server.signals.leave.cancel();
        } else {
            server.signals.drain.cancel();
        }
        assert_eq!(obey(&mut frames).await, 1);
        frames.write(Kind::DATA, END_STREAM, 1, b"goes on").await;
        assert_eq!(frames.body(1).await, b"goes on");
        assert!(frames.ends().await);
    }
}

#[tokio::test]
async fn a_listener_that_is_removed_tells_its_clients() {
    let (mut server, parked) = Running::park(h2c());
    let mut frames = Frames::connect(&server, &[]).await;
    frames.get(1, "/").await;
    parked.entered().await;
    // Settings with another port 0 would be the same listener.
    let other = ListenerSettings::at("other", vec![any_port().into()]);
    let next = server.open.prepare(&Settings { listeners: vec![other], ..h2c() }).unwrap();
    server.open.replace(next);
    assert_eq!(obey(&mut frames).await, 1);
    parked.release.notify_waiters();
    assert_eq!(frames.body(1).await, b"parked");
    assert!(frames.ends().await);
}

#[tokio::test]
async fn a_refusal_for_want_of_descriptors_closes_its_connection_without_a_header() {
    let service = |request: Request| async move {
        let is_refused = request.uri().path() == "/full";
        let mut answer = hello(request).await?;
        *answer.status_mut() =
            if is_refused { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NOT_IMPLEMENTED };
        answer.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
        Ok::<_, Infallible>(answer)
    };
    let server = Running::start(h2c(), service);
    let mut client = connect(&server).await;
    let answer = client.send_request(get("/")).await.unwrap();
    assert_eq!(answer.headers().get("connection"), None);
    assert_eq!(text(answer).await, "hello");
    let mut frames = Frames::connect(&server, &[]).await;
    frames.get(1, "/").await;
    assert!(!until_pong(&mut frames).await.contains(&Kind::GOAWAY), "its stream is all that ends");
    frames.get(3, "/full").await;
    assert_eq!(obey(&mut frames).await, 3);
    assert!(frames.ends().await);
}

#[tokio::test]
async fn clients_are_told_of_another_tls_and_not_of_a_renewed_certificate() {
    let (settings, _files, certificate) = tls::settings();
    let mut server = Running::start(settings.clone(), hello);
    let replace = |server: &mut Running, settings: &Settings| {
        let next = server.open.prepare(settings).unwrap();
        server.open.replace(next);
    };
    let Identity { certificate: file, .. } = &settings.listeners[0].tls.as_ref().unwrap().certificates[0];
    let asking = {
        let mut settings = settings.clone();
        settings.listeners[0].tls.as_mut().unwrap().client_ca = Some(file.clone());
        settings
    };
    let without_http2 = {
        let mut settings = settings.clone();
        settings.listeners[0].http2 = false;
        settings
    };
    let in_the_clear = {
        let mut settings = settings.clone();
        settings.listeners[0].tls = None;
        settings
    };
    for other in [asking, without_http2, in_the_clear] {
        let mut frames = secure(&server, &certificate).await;
        // What changes nothing for a client that is connected: the same again, or another limit.
        replace(&mut server, &Settings { idle_timeout: PATIENCE, ..settings.clone() });
        assert!(!until_pong(&mut frames).await.contains(&Kind::GOAWAY));
        replace(&mut server, &other);
        assert_eq!(obey(&mut frames).await, 0);
        assert!(frames.ends().await);
        replace(&mut server, &settings);
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_with_a_connection_long_after_goaway_loses_it() {
    let (client, ours) = tokio::io::duplex(64 << 10);
    let info = ConnectInfo {
        peer: any_port().into(),
        secure: false,
        subject: None,
        patience: Patience::new(PATIENCE),
        listener: "test".into(),
        raw_headers: RawHeaders::default(),
        pinned: crate::upstream::Pinned::default(),
    };
    let charge = crate::budget::Budget::default().charge();
    let limits = ConnectionLimits { connection_requests: 1, ..ConnectionLimits::default() };
    let service = |request: Request| async move {
        if request.uri().path() == "/park" { pending().await } else { hello(request).await }
    };
    let make = Arc::new(move |_: ConnectInfo| service_fn(move |request| Box::pin(service(request))));
    let http2 = Http2::new(make, info, ours.into(), PATIENCE, limits, Limited::default(), charge);
    let connection = TaskTracker::new().spawn(http2);
    let mut frames = Frames::begin(client, &[]).await;
    frames.get(1, "/park").await;
    frames.get(3, "/").await;
    assert_eq!(frames.body(3).await, b"hello");
    // It never answers the PING behind which it would be too late.
    for stream in [5, 7, 9] {
        tokio::time::sleep(Duration::from_secs(6)).await;
        frames.get(stream, "/").await;
        assert_eq!(frames.body(stream).await, b"hello", "it may not have seen the GOAWAY yet");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!connection.is_finished(), "it asks for nothing");
    frames.get(11, "/").await;
    assert!(frames.ends().await);
    assert!(connection.await.unwrap().unwrap_err().to_string().contains("after GOAWAY"));
}

/// Connects by TLS.
async fn secure(
    server: &Running,
    certificate: &rustls::pki_types::CertificateDer<'static>,
) -> Frames<TlsStream<TcpStream>> {
    let mut config = (*tls::trusting(certificate)).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = server.connect().await.0;
    let stream = TlsConnector::from(Arc::new(config)).connect(tls::name(), stream).await.unwrap();
    Frames::begin(stream, &[]).await
}
