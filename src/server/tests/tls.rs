//! Listeners that speak TLS.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::{ClientAuth, Identity, TlsFiles, Trust, client_config};

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served() {
    let (settings, _files, certificate) = settings();
    let infos = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&infos);
    let server = Running::start_each(settings, move |info: ConnectInfo| {
        seen.lock().unwrap().push(info.secure);
        service_fn(|request| Box::pin(hello(request)))
    });
    let mut client = connect(&server, &certificate).await;
    assert_eq!(client.0.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    for _ in 0..2 {
        assert!(client.ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ends_with("hello"));
    }
    // It is made again for a connection that was idle.
    assert!(infos.lock().unwrap().iter().all(|secure| *secure));
}

#[tokio::test]
async fn an_upgrade_works_over_tls() {
    let (settings, _files, certificate) = settings();
    let server = Running::start(settings, upgrade_to_echo);
    let mut client = connect(&server, &certificate).await;
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    assert!(client.ask(request).await.starts_with("HTTP/1.1 101 "));
    client.write("over TLS").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "over TLS");
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_is_dropped_and_counted() {
    let (settings, _files, certificate) = settings();
    let server = Running::start(settings, hello);
    let mut plain = server.connect().await;
    plain.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, plain.0.read_to_end(&mut read)).await.expect("the server closes in time");
    assert!(!read.starts_with(b"HTTP"), "{read:?}");

    let mut client = connect(&server, &certificate).await;
    assert!(client.ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ends_with("hello"));
    let metrics = server.metrics.render();
    assert!(metrics.contains("polliwog_tls_failures_total{listener=\"default\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    let (mut settings, _files, _) = settings();
    settings.listeners[0].tls.as_mut().unwrap().certificates[0].certificate =
        PathBuf::from("no-such-certificate.pem");
    let error = Server::bind(&settings, |_| None).unwrap_err();
    let BindError::Tls(cause) = &error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("no-such-certificate.pem"), "{cause}");
}

#[tokio::test]
async fn only_clients_whose_certificate_is_known_are_served() {
    let (mut settings, _files, _) = settings();
    let files = settings.listeners[0].tls.as_mut().unwrap();
    // The listener's own certificate serves as everybody's.
    let (identity, trust) =
        (files.certificates[0].clone(), Trust::File(files.certificates[0].certificate.clone()));
    files.client_ca = Some(identity.certificate.clone());
    let server = Running::start(settings, hello);
    for known in [true, false] {
        let config = client_config(&trust, known.then_some(&identity)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(config).connect(name, server.connect().await.0).await.unwrap();
        let mut client = Client(stream);
        // In TLS 1.3 a client learns only later that it is refused.
        let _ = client.0.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, client.0.read_to_end(&mut answer)).await.expect("it ends in time");
        assert_eq!((read.is_ok(), answer.ends_with(b"hello")), (known, known));
    }
    assert!(server.metrics.render().contains("polliwog_tls_failures_total{listener=\"default\"} 1\n"));
}

#[tokio::test]
async fn a_client_resumes_its_session_after_many_others_came() {
    let (settings, _files, certificate) = settings();
    let server = Running::start(settings, hello);
    let config = trusting(&certificate);
    let visit = async |config: &Arc<ClientConfig>| {
        let stream = TlsConnector::from(Arc::clone(config)).connect(name(), server.connect().await.0).await;
        let mut client = Client(stream.unwrap());
        assert!(client.ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ends_with("hello"));
        client.0.get_ref().1.handshake_kind()
    };
    assert_eq!(visit(&config).await, Some(HandshakeKind::Full));
    // More than rustls would keep by itself.
    for _ in 0..200 {
        visit(&trusting(&certificate)).await;
    }
    assert_eq!(visit(&config).await, Some(HandshakeKind::Resumed));
}

pub(super) async fn connect(
    server: &Running,
    certificate: &CertificateDer<'static>,
) -> Client<TlsStream<TcpStream>> {
    let stream = server.connect().await.0;
    Client(TlsConnector::from(trusting(certificate)).connect(name(), stream).await.unwrap())
}

/// Returns the name in every certificate here.
pub(super) fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// Returns a client's settings.
pub(super) fn trusting(certificate: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Returns settings with a certificate made for this test, its files, and the certificate that a client must trust.
pub(super) fn settings() -> (Settings, Folder, CertificateDer<'static>) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("polliwog-server-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let identity = Identity { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    let files = TlsFiles {
        certificates: vec![identity.clone()],
        acme: None,
        client_ca: None,
        client_auth: ClientAuth::Required,
    };
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&identity.certificate, pair.cert.pem()).unwrap();
    std::fs::write(&identity.key, pair.signing_key.serialize_pem()).unwrap();
    let mut settings = super::settings();
    settings.listeners[0].tls = Some(files);
    (settings, Folder(folder), pair.cert.der().clone())
}

/// Removed when the test ends.
pub(super) struct Folder(pub(super) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_handshake_that_trickles_in_ends_in_time_and_is_counted() {
    let (settings, _files, certificate) = settings();
    let limits = ConnectionLimits { tls_timeout: Duration::from_millis(300), ..ConnectionLimits::default() };
    let server = Running::start(Settings { limits, ..settings }, hello);
    let mut slow = server.connect().await;
    // The beginning of a ClientHello: a record of 512 bytes.
    slow.0.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await.unwrap();
    let ended = timeout(PATIENCE, async {
        let mut read = [0; 16];
        // The pace of the trickle.
        while timeout(Duration::from_millis(10), slow.0.read(&mut read)).await.is_err() {
            let _is_gone = slow.0.write_all(&[7]).await;
        }
    });
    ended.await.expect("the server closes in time");
    let metrics = server.metrics.render();
    assert!(metrics.contains("polliwog_limited_total{limit=\"tls_timeout\"} 1\n"), "{metrics}");
    let mut client = connect(&server, &certificate).await;
    assert!(client.ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ends_with("hello"));
}
