//! Backends behind `wss` URLs: which certificates an upstream accepts, and what it says about those that it does not.

mod authority;

use std::io;
use std::sync::Mutex;

use rcgen::date_time_ymd;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::authority::{Authority, authority_params, good, provider};
use super::*;
use crate::budget::Budget;
use crate::chain::Chain;
use crate::tls::Trust;
use crate::upstream::{BuildError, Relayed};

#[tokio::test]
async fn a_backend_with_a_certificate_of_a_trusted_authority_is_reached() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let authority = Authority::new();
        let (listener, settings) = listen_at("localhost", &authority).await;
        let front = Front::new(&settings);
        let server = authority.server_of(&good("localhost"), &[version]);
        let (_, mut link, mut socket) = front.open_with(accept_tls(&listener, server)).await;
        let session = socket.get_ref().get_ref().1;
        assert_eq!(
            (session.alpn_protocol(), session.server_name()),
            (Some(&b"http/1.1"[..]), Some("localhost"))
        );
        assert_eq!(session.protocol_version(), Some(version.version));
        // Several records in each direction.
        let text = "x".repeat(100_000);
        send(&mut *link, Message::Text(text.clone().into())).await;
        assert_eq!(next_frame(&mut socket).await, Frame::text(&text));
        send_frame(&mut socket, Frame::text(&text)).await;
        assert_eq!(next_message(&mut *link).await, Message::Text(text.into()));
        assert!(!front.upstream.is_down());
    }
}

#[tokio::test]
async fn an_engine_io_server_is_reached_as_well() {
    let authority = Authority::new();
    let (listener, settings) = listen_at("localhost", &authority).await;
    let front = Front::new(&Settings { kind: Kind::EngineIo, ..settings });
    let backend = async {
        let mut socket = accept_tls(&listener, authority.server("localhost")).await;
        send_frame(&mut socket, OPEN).await;
        socket
    };
    assert_eq!(front.open_with(backend).await.0.sid.unwrap().as_str(), "abc");
}

#[tokio::test]
async fn a_relayed_web_socket_crosses_tls_too() {
    let authority = Authority::new();
    let (listener, settings) = listen_at("localhost", &authority).await;
    let front = Front::new(&settings);
    let backend = async {
        let mut stream = accept_handshake(&listener, authority.server("localhost")).await.unwrap();
        while stream.read_u8().await.unwrap() != b'\n' {}
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(b"raw").await.unwrap();
        stream
    };
    let (relayed, _backend) = within(async { tokio::join!(front.upstream.relay(request()), backend) }).await;
    let Relayed { mut stream, read_ahead, .. } = relayed.unwrap();
    let mut bytes = read_ahead.to_vec();
    while bytes.len() < 3 {
        within(stream.read_buf(&mut bytes)).await.unwrap();
    }
    assert_eq!(bytes, b"raw");
}

#[tokio::test]
async fn an_address_in_the_url_is_looked_for_in_the_certificate() {
    let authority = Authority::new();
    let (listener, settings) = listen_at("127.0.0.1", &authority).await;
    let front = Front::new(&settings);
    let (_, _link, socket) = front.open_with(accept_tls(&listener, authority.server("127.0.0.1"))).await;
    assert_eq!(socket.get_ref().get_ref().1.server_name(), None, "an address is not sent");
    let told = failure(&front, &listener, authority.server("127.0.0.2")).await;
    assert!(told.contains("another name") && told.contains("127.0.0.2"), "{told}");
}

#[tokio::test]
async fn a_server_name_stands_in_for_the_urls_host() {
    for name in ["chat.example.org", "10.0.0.1"] {
        let authority = Authority::new();
        let (listener, mut settings) = listen_at("127.0.0.1", &authority).await;
        settings.tls.server_name = name.try_into().ok();
        let front = Front::new(&settings);
        let (_, _link, socket) = front.open_with(accept_tls(&listener, authority.server(name))).await;
        let sent = Some(name).filter(|name| name.contains("chat"));
        assert_eq!(socket.get_ref().get_ref().1.server_name(), sent);
        let told = failure(&front, &listener, authority.server("127.0.0.1")).await;
        assert!(told.contains("its certificate has another name") && told.contains(name), "{told}");
    }
}

#[tokio::test]
async fn each_fault_of_a_certificate_is_told() {
    let authority = Authority::named("One");
    let at = |from, until| {
        let mut params = good("localhost");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        authority.server_of(&params, rustls::DEFAULT_VERSIONS)
    };
    for (server, what, detail) in [
        (Authority::new().server("localhost"), "was not issued by a trusted authority", "UnknownIssuer"),
        (
            Authority::named("One").server("localhost"),
            "is not signed by the issuer that it names",
            "BadSignature",
        ),
        (at(2001, 2002), "has expired", "not valid after"),
        (at(2900, 2901), "is not valid yet", "not valid before"),
        (authority.server("other.example.org"), "has another name", "other.example.org"),
        (
            authority.server_of(&authority_params(), rustls::DEFAULT_VERSIONS),
            "cannot be accepted",
            "CaUsedAsEndEntity",
        ),
    ] {
        let (listener, settings) = listen_at("localhost", &authority).await;
        let told = failure(&Front::new(&settings), &listener, server).await;
        let start = format!(
            "the upstream is down: TLS with localhost:{} failed, its certificate {what}: ",
            port(&listener)
        );
        assert!(told.starts_with(&start) && told.contains(detail), "{told}");
    }
}

#[tokio::test]
async fn a_backend_that_refuses_the_handshake_is_told_with_its_alert() {
    let authority = Authority::new();
    let (listener, settings) = listen_at("localhost", &authority).await;
    let mut server = authority.server("localhost");
    Arc::make_mut(&mut server).alpn_protocols = vec![b"h2".to_vec()];
    let told = failure(&Front::new(&settings), &listener, server).await;
    assert!(
        told.ends_with("it refused the handshake: received fatal alert: NoApplicationProtocol"),
        "{told}"
    );
}

#[tokio::test]
async fn a_backend_that_wants_a_certificate_of_ours_is_told() {
    let authority = Authority::new();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(authority.roots(), provider()).build().unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (listener, settings) = listen_at("localhost", &authority).await;
        let front = Front::new(&settings);
        let server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(Arc::clone(&verifier));
        let server = authority.certify(server, &good("localhost"));
        let (error, _) = front.fail_with(accept_handshake(&listener, server)).await;
        let told = Chain(&error).to_string();
        assert!(told.contains("TLS with") && told.contains("fatal alert"), "{told}");
    }
}

#[tokio::test]
async fn a_backend_without_tls_is_told() {
    let authority = Authority::new();
    for (bytes, what) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "it does not speak TLS: "),
        (b"SSH-2.0-x\r\n", "it does not speak TLS: "),
        (b"", "it hung up during the handshake: "),
        (b"\x16\x03\x03\x00\x7a\x02", "it hung up during the handshake: "),
    ] {
        let (listener, settings) = listen_at("localhost", &authority).await;
        let front = Front::new(&settings);
        let backend = async {
            let mut stream = listener.accept().await.unwrap().0;
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(bytes).await.unwrap();
        };
        let told = down(&front.fail_with(backend).await.0);
        assert!(told.contains(what), "{told}");
        assert!(front.upstream.is_down());
    }
}

#[tokio::test]
async fn a_backend_that_is_silent_in_the_handshake_costs_no_more_than_its_own_time() {
    let authority = Authority::new();
    let (silent, mut settings) = listen_at("localhost", &authority).await;
    settings.connect_timeout = Duration::from_millis(100);
    let front = Front::new(&settings);
    let error = front.open(request()).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Slow(span) if span == settings.connect_timeout), "{error}");
    assert!(front.upstream.is_down());

    let (listener, other) = listen_at("localhost", &authority).await;
    settings.urls.extend(other.urls);
    let front = Front::new(&settings);
    front.open_with(accept_tls(&listener, authority.server("localhost"))).await;
    assert!(!front.upstream.is_down());
    drop(silent);
}

#[tokio::test]
async fn the_next_url_is_tried_where_one_is_not_believed() {
    let authority = Authority::new();
    let (bad, mut settings) = listen_at("localhost", &authority).await;
    let (listener, other) = listen_at("localhost", &authority).await;
    settings.urls.extend(other.urls);
    let front = Front::new(&settings);
    let backends = async {
        assert!(accept_handshake(&bad, Authority::new().server("localhost")).await.is_err());
        accept_tls(&listener, authority.server("localhost")).await
    };
    front.open_with(backends).await;
    assert!(!front.upstream.is_down());
}

#[tokio::test]
async fn a_prober_takes_nobody_back_who_is_not_believed() {
    let authority = Authority::new();
    let (listener, settings) = listen_at("localhost", &authority).await;
    let front = Front::new(&settings);
    failure(&front, &listener, Authority::new().server("localhost")).await;
    assert!(within(accept_handshake(&listener, Authority::new().server("localhost"))).await.is_err());
    assert!(front.upstream.is_down());
    within(accept_handshake(&listener, authority.server("localhost"))).await.unwrap();
    // The prober ends; what resolves the name stays.
    within(async {
        while front.upstream.is_down() || front.tracker.len() > 1 {
            // The pace of the looks.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_connection_resumes_the_first_ones_session() {
    let authority = Authority::new();
    let (listener, settings) = listen_at("localhost", &authority).await;
    let front = Front::new(&settings);
    let server = authority.server("localhost");
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (_, _link, socket) = front.open_with(accept_tls(&listener, Arc::clone(&server))).await;
        assert_eq!(socket.get_ref().get_ref().1.handshake_kind(), Some(kind));
    }
}

#[tokio::test]
async fn a_goodbye_is_said_in_tls_too() {
    let authority = Authority::new();
    let (listener, settings) = listen_at("localhost", &authority).await;
    let front = Front::new(&settings);
    let (_, mut link, mut socket) =
        front.open_with(accept_tls(&listener, authority.server("localhost"))).await;
    let backend = async {
        while let Some(Ok(_)) = socket.next().await {}
        socket.get_mut().read(&mut [0; 1]).await
    };
    let closing = Closing::new(1000, "");
    let (end, _) = within(async { tokio::join!(backend, close(&mut *link, &closing)) }).await;
    assert_eq!(end.unwrap(), 0, "an end without close_notify is an error");
}

#[tokio::test]
async fn what_keeps_an_upstream_down_is_logged_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let authority = Authority::new();
    let (listener, settings) = listen_at("localhost", &authority).await;
    let front = Front::new(&settings);
    for _ in 0..2 {
        failure(&front, &listener, Authority::new().server("localhost")).await;
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!((log.lines().count(), log.matches("UnknownIssuer").count()), (1, 1), "{log}");
    assert!(log.contains("WARN") && log.contains("not issued by a trusted authority"), "{log}");
}

#[test]
fn an_upstream_whose_authorities_cannot_be_read_is_not_built() {
    let tls = crate::upstream::Tls { trust: Trust::File("absent.pem".into()), ..Default::default() };
    let mut settings = Settings {
        kind: Kind::WebSocket,
        urls: vec!["wss://h".parse().unwrap()],
        tls,
        ..Settings::default()
    };
    let build =
        |settings: &Settings| build(settings, Background::default(), Dials::default(), &Budget::default());
    let error = build(&settings).unwrap_err();
    assert!(matches!(error, BuildError::Tls(_)) && error.to_string().contains("absent.pem"), "{error}");
    settings.urls = vec!["ws://h".parse().unwrap()];
    assert!(build(&settings).is_ok(), "nobody needs them");
}

/// Returns a listening backend, and settings that use this name and trust this authority.
async fn listen_at(host: &str, authority: &Authority) -> (TcpListener, Settings) {
    let (listener, settings) = listen(Kind::WebSocket).await;
    let url = format!("wss://{host}:{}/", port(&listener)).parse().unwrap();
    let tls = crate::upstream::Tls { trust: Trust::File(authority.file.clone()), ..Default::default() };
    (listener, Settings { urls: vec![url], tls, ..settings })
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().unwrap().port()
}

/// Runs a backend's side of the TLS handshake.
async fn accept_handshake(
    listener: &TcpListener,
    server: Arc<ServerConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = listener.accept().await.unwrap().0;
    Box::pin(TlsAcceptor::from(server).accept(stream)).await
}

async fn accept_tls(
    listener: &TcpListener,
    server: Arc<ServerConfig>,
) -> WebSocketStream<TlsStream<TcpStream>> {
    let stream = accept_handshake(listener, server).await.unwrap();
    Box::pin(tokio_tungstenite::accept_async(stream)).await.unwrap()
}

/// Returns the error for a backend with this certificate.
async fn failure(front: &Front, listener: &TcpListener, server: Arc<ServerConfig>) -> String {
    let (error, accepted) = front.fail_with(accept_handshake(listener, server)).await;
    assert!(accepted.is_err());
    assert!(front.upstream.is_down());
    down(&error)
}

/// Returns the text of an error that is answered with 502.
fn down(error: &OpenError) -> String {
    assert!(matches!(error, OpenError::Down(_)), "{error}");
    Chain(error).to_string()
}

/// Collects the log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
