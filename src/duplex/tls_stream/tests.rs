//! Both sides beside tokio-rustls, in both versions of TLS.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use proptest::prelude::*;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::budget::Budget;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(pair.cert.der().clone()).unwrap();
    let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

fn sockets() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// Returns our server and a client of tokio-rustls.
async fn served(
    version: &'static SupportedProtocolVersion,
) -> (TlsStream, tokio_rustls::client::TlsStream<UnixStream>) {
    let ((near, far), (server, client)) = (sockets(), configs(version));
    let ours = TlsStream::accept(near.into(), |hello| {
        assert_eq!(hello.server_name(), Some("localhost"));
        server
    });
    let (ours, theirs) = tokio::join!(ours, TlsConnector::from(client).connect(name(), far));
    (ours.unwrap(), theirs.unwrap())
}

/// Returns our client and a server of tokio-rustls.
async fn dialled(
    version: &'static SupportedProtocolVersion,
) -> (TlsStream, tokio_rustls::server::TlsStream<UnixStream>) {
    let ((near, far), (server, client)) = (sockets(), configs(version));
    let (ours, theirs) =
        tokio::join!(TlsStream::connect(near.into(), client, name()), TlsAcceptor::from(server).accept(far));
    (ours.unwrap(), theirs.unwrap())
}

fn assert_empty(stream: &TlsStream) {
    let (incoming, outgoing) = (stream.incoming.capacity(), stream.outgoing.capacity());
    assert_eq!((incoming, stream.plain.len(), outgoing), (0, 0, 0), "an idle connection keeps a buffer");
}

/// Sends messages of these lengths in both directions at once, and ends cleanly.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut ours: TlsStream, mut theirs: S, lens: &[usize]) {
    let mut here = [0; 1];
    for (index, len) in lens.iter().enumerate() {
        let message: Vec<_> = (0_u8..251).cycle().skip(index).take(*len).collect();
        let (mut at_ours, mut at_theirs) = (vec![0; *len], vec![0; *len]);
        let ours_talks = async {
            let (mut sent, mut read) = (0, 0);
            while sent < message.len() || read < at_ours.len() {
                poll_fn(|cx| {
                    let mut moved = false;
                    while sent < message.len()
                        && let Poll::Ready(len) = Pin::new(&mut ours).poll_write(cx, &message[sent..])
                    {
                        (sent, moved) = (sent + len.unwrap(), true);
                    }
                    let _ = Pin::new(&mut ours).poll_flush(cx);
                    let mut buf = ReadBuf::new(&mut at_ours[read..]);
                    if buf.remaining() > 0 && Pin::new(&mut ours).poll_read(cx, &mut buf).is_ready() {
                        let len = buf.filled().len();
                        assert!(len > 0, "it ended too early");
                        (read, moved) = (read + len, true);
                    }
                    let is_over = sent == message.len() && read == at_ours.len();
                    if moved || is_over { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            ours.flush().await.unwrap();
        };
        let theirs_talks = async {
            let (mut reading, mut writing) = tokio::io::split(&mut theirs);
            let write = async {
                writing.write_all(&message).await.unwrap();
                writing.flush().await.unwrap();
            };
            tokio::join!(write, async { reading.read_exact(&mut at_theirs).await.unwrap() });
        };
        tokio::join!(ours_talks, theirs_talks);
        assert!(at_ours == message && at_theirs == message, "{len} bytes came changed");
        assert_empty(&ours);
    }
    ours.shutdown().await.unwrap();
    assert_eq!(theirs.read(&mut here).await.unwrap(), 0, "our end is clean");
    theirs.write_all(b"?").await.unwrap();
    theirs.shutdown().await.unwrap();
    assert_eq!((ours.read(&mut here).await.unwrap(), here), (1, *b"?"));
    assert_eq!(ours.read(&mut here).await.unwrap(), 0, "their end is clean");
    assert_eq!(ours.write(b"late").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn both_sides_exchange_any_messages_with_another_implementation(
        lens in prop::collection::vec(prop_oneof![1_usize..300, 16_300_usize..16_500, 1_usize..300_000], 1..5),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            for version in VERSIONS {
                let (ours, theirs) = served(version).await;
                talk(ours, theirs, &lens).await;
                let (ours, theirs) = dialled(version).await;
                talk(ours, theirs, &lens).await;
            }
        });
    }
}

#[tokio::test]
async fn a_handshake_comes_in_any_pieces() {
    for version in VERSIONS {
        let ((near, mut trickle), (mut far, theirs), (server, client)) =
            (sockets(), sockets(), configs(version));
        let shaken = async {
            let ours = TlsStream::accept(near.into(), |_| server);
            let (ours, theirs) = tokio::join!(ours, TlsConnector::from(client).connect(name(), theirs));
            (ours.unwrap(), theirs.unwrap())
        };
        let trickling = async {
            loop {
                let (mut up, mut down) = ([0; 1], [0; 4096]);
                tokio::select! {
                    len = far.read(&mut up) => trickle.write_all(&up[..len.unwrap()]).await.unwrap(),
                    len = trickle.read(&mut down) => far.write_all(&down[..len.unwrap()]).await.unwrap(),
                }
            }
        };
        tokio::select! {
            (ours, _theirs) = shaken => assert_empty(&ours),
            () = trickling => {}
        }
    }
}

#[tokio::test]
async fn an_end_without_a_close_notify_is_an_error_behind_all_that_came() {
    for version in VERSIONS {
        let (mut ours, mut theirs) = served(version).await;
        theirs.write_all(b"cut").await.unwrap();
        theirs.get_mut().0.shutdown().await.unwrap();
        let mut read = Vec::new();
        let error = ours.read_to_end(&mut read).await.unwrap_err();
        assert_eq!((error.kind(), &read[..]), (io::ErrorKind::UnexpectedEof, &b"cut"[..]));
        assert_eq!(ours.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn what_was_changed_is_refused_and_the_other_side_told() {
    for version in VERSIONS {
        let (mut ours, mut theirs) = served(version).await;
        // A whole record, and one that says nothing: both come with one read.
        theirs.write_all(b"sound").await.unwrap();
        let (socket, connection) = theirs.get_mut();
        socket.write_all(b"\x17\x03\x03\x00\x20never encrypted by either of both").await.unwrap();
        let mut read = Vec::new();
        let error = ours.read_to_end(&mut read).await.unwrap_err();
        assert_eq!((error.kind(), &read[..]), (io::ErrorKind::InvalidData, &b"sound"[..]));
        assert!(error.get_ref().unwrap().is::<rustls::Error>(), "{error}");
        // The alert was written with the next read.
        let mut told = [0; 1000];
        let len = socket.read(&mut told).await.unwrap();
        connection.read_tls(&mut &told[..len]).unwrap();
        let alert = connection.process_new_packets().unwrap_err();
        assert!(matches!(alert, rustls::Error::AlertReceived(_)), "{alert}");
        assert!(ours.write(b"late").await.is_err());
    }
}

#[tokio::test]
async fn new_keys_are_answered_though_nobody_writes() {
    let (mut ours, mut theirs) = served(&TLS13).await;
    for round in 0..3 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        theirs.write_all(b"with new keys").await.unwrap();
        let mut read = [0; 13];
        ours.read_exact(&mut read).await.unwrap();
        ours.write_all(&[round]).await.unwrap();
        assert_eq!((&read, theirs.read_u8().await.unwrap()), (b"with new keys", round));
        assert!(ours.read(&mut read).now_or_never().is_none(), "there is no more");
        assert_empty(&ours);
    }
}

#[tokio::test]
async fn a_reader_that_stands_still_stops_the_writer_and_gets_everything_later() {
    let (mut ours, mut theirs) = served(&TLS13).await;
    let (piece, mut taken) = (vec![7; 10_000], 0);
    while let Some(len) = ours.write(&piece).now_or_never() {
        taken += len.unwrap();
    }
    assert!(ours.outgoing.len() <= WRITE_LEN_MAX + 1000, "{} bytes wait", ours.outgoing.len());
    assert!(ours.flush().now_or_never().is_none(), "it waits for the reader");
    let reading = async { theirs.read_exact(&mut vec![0; taken]).await.unwrap() };
    let (flushed, _) = tokio::join!(ours.flush(), reading);
    flushed.unwrap();
    assert_empty(&ours);
}

#[tokio::test]
async fn what_waits_in_either_direction_is_charged_until_it_is_taken() {
    let (ours, mut theirs) = served(&TLS13).await;
    let budget = Budget::new(None);
    let mut ours = ours.charged(budget.charge());
    let piece = vec![7; 10_000];
    let mut taken = 0;
    while let Some(len) = ours.write(&piece).now_or_never() {
        taken += len.unwrap();
    }
    assert_eq!(budget.used(), ours.outgoing.len());
    assert!(budget.used() > 1000, "{} bytes are charged", budget.used());
    let reading = async { theirs.read_exact(&mut vec![0; taken]).await.unwrap() };
    let (flushed, _) = tokio::join!(ours.flush(), reading);
    flushed.unwrap();
    assert_eq!(budget.used(), 0);

    theirs.write_all(b"hello").await.unwrap();
    assert_eq!(ours.read_u8().await.unwrap(), b'h');
    assert_eq!(budget.used(), 4, "what was decrypted, and not taken");
    let mut rest = [0; 4];
    ours.read_exact(&mut rest).await.unwrap();
    assert_eq!(budget.used(), 0);

    theirs.write_all(b"hello").await.unwrap();
    assert_eq!(ours.read_u8().await.unwrap(), b'h');
    drop(ours);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn pieces_go_into_one_record() {
    let (mut ours, mut theirs) = served(&TLS13).await;
    // Behind the tickets.
    ours.write_all(b"!").await.unwrap();
    assert_eq!(theirs.read_u8().await.unwrap(), b'!');
    let pieces = [&b""[..], b"head", b"", b"body"].map(io::IoSlice::new);
    assert_eq!(poll_fn(|cx| Pin::new(&mut ours).poll_write_vectored(cx, &pieces)).await.unwrap(), 8);
    let mut record = [0; 5 + 8 + 17];
    theirs.get_mut().0.read_exact(&mut record).await.unwrap();
    assert_eq!(record[..5], [0x17, 3, 3, 0, 25]);
}

#[tokio::test]
async fn faults_of_a_handshake_are_told_to_both() {
    // Another protocol.
    let ((near, mut far), (server, _)) = (sockets(), configs(&TLS13));
    far.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let error = TlsStream::accept(near.into(), |_| server).await.unwrap_err();
    assert!(matches!(
        error.get_ref().and_then(|error| error.downcast_ref()),
        Some(rustls::Error::InvalidMessage(_))
    ));
    assert_eq!(far.read_u8().await.unwrap(), 0x15, "an alert");

    // A client that trusts another authority.
    let ((near, far), (server, _), (_, client)) = (sockets(), configs(&TLS13), configs(&TLS13));
    let theirs = TlsConnector::from(Arc::clone(&client)).connect(name(), far);
    let (ours, theirs) = tokio::join!(TlsStream::accept(near.into(), |_| server), theirs);
    assert!(matches!(told(&ours.unwrap_err()), rustls::Error::AlertReceived(_)));
    assert!(matches!(told(&theirs.unwrap_err()), rustls::Error::InvalidCertificate(_)));

    // The same of ours.
    let ((near, far), (server, _)) = (sockets(), configs(&TLS13));
    let theirs = TlsAcceptor::from(server).accept(far);
    let (ours, theirs) = tokio::join!(TlsStream::connect(near.into(), client, name()), theirs);
    assert!(matches!(told(&ours.unwrap_err()), rustls::Error::InvalidCertificate(_)));
    assert!(matches!(told(&theirs.unwrap_err()), rustls::Error::AlertReceived(_)));

    // One that hangs up.
    for sent in [0, 1, 100] {
        let ((near, mut far), (server, _)) = (sockets(), configs(&TLS13));
        far.write_all(&vec![0x16, 3, 1, 2, 0][..sent.min(5)]).await.unwrap();
        drop(far);
        let accepting = TlsStream::accept(near.into(), |_| server);
        let ended = tokio::time::timeout(Duration::from_secs(5), accepting).await.expect("an end");
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

fn told(error: &io::Error) -> &rustls::Error {
    error.get_ref().unwrap().downcast_ref().unwrap()
}
