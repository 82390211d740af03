//! Settings that are replaced while connections live.

use std::net::Ipv6Addr;

use rustls::{ClientConfig, HandshakeKind};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls::{name, settings as secure};
use super::*;
use crate::tls::{Identity, Trust, client_config};

/// Writes another certificate with its key to the files.
fn renew(identity: &Identity) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&identity.certificate, pair.cert.pem()).unwrap();
    std::fs::write(&identity.key, pair.signing_key.serialize_pem()).unwrap();
}

/// Returns what trusts the certificate that is in the file now.
fn trusting(identity: &Identity) -> Arc<ClientConfig> {
    let trust = Trust::File(identity.certificate.clone());
    client_config(&trust, None).unwrap()
}

async fn connect(server: &Running, config: &Arc<ClientConfig>) -> io::Result<Client<TlsStream<TcpStream>>> {
    let stream = server.connect().await.0;
    TlsConnector::from(Arc::clone(config)).connect(name(), stream).await.map(Client)
}

fn replace(server: &mut Running, settings: &Settings) -> Result<(), BindError> {
    let next = server.open.prepare(settings)?;
    server.open.replace(next);
    Ok(())
}

fn addresses(server: &Running) -> Vec<SocketAddr> {
    server.open.local_addrs().into_iter().map(|name| name.address.ip().unwrap()).collect()
}

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_certificate_is_replaced_without_a_connection_dropped() {
    let (settings, _files, _) = secure();
    let mut server = Running::start(settings.clone(), hello);
    let identity = &settings.listeners[0].tls.as_ref().unwrap().certificates[0];
    let old = trusting(identity);
    let mut before = connect(&server, &old).await.unwrap();
    assert!(before.ask(REQUEST).await.ends_with("hello"));
    renew(identity);
    let new = trusting(identity);
    replace(&mut server, &settings).unwrap();
    assert!(before.ask(REQUEST).await.ends_with("hello"));
    let mut after = connect(&server, &new).await.unwrap();
    assert!(after.ask(REQUEST).await.ends_with("hello"));
    // A client that was here resumes its session, and needs no certificate.
    let mut resumed = connect(&server, &old).await.unwrap();
    assert!(resumed.ask(REQUEST).await.ends_with("hello"));
    assert_eq!(resumed.0.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
}

#[tokio::test]
async fn rubbish_in_the_place_of_a_certificate_changes_nothing() {
    let (settings, _files, _) = secure();
    let mut server = Running::start(settings.clone(), hello);
    let identity = &settings.listeners[0].tls.as_ref().unwrap().certificates[0];
    let old = trusting(identity);
    let certificate = std::fs::read(&identity.certificate).unwrap();
    for rubbish in [&b""[..], b"rubbish", &certificate[..certificate.len() / 2]] {
        std::fs::write(&identity.certificate, rubbish).unwrap();
        let refused = replace(&mut server, &settings).unwrap_err();
        assert!(matches!(refused, BindError::Tls(_)), "{refused:?}");
    }
    // The certificate is there, its key is not yet.
    std::fs::write(&identity.certificate, &certificate).unwrap();
    let key = std::fs::read(&identity.key).unwrap();
    renew(identity);
    std::fs::write(&identity.key, key).unwrap();
    let refused = replace(&mut server, &settings).unwrap_err();
    assert!(refused.to_string().contains("TLS"), "{refused}");
    let mut client = connect(&server, &old).await.unwrap();
    assert!(client.ask(REQUEST).await.ends_with("hello"));
}

#[tokio::test]
async fn a_session_of_tls_is_not_resumed_once_other_clients_are_accepted() {
    let (mut settings, files, _) = secure();
    let identity = settings.listeners[0].tls.as_ref().unwrap().certificates[0].clone();
    let ours = files.0.join("ours.pem");
    std::fs::copy(&identity.certificate, &ours).unwrap();
    settings.listeners[0].tls.as_mut().unwrap().client_ca = Some(ours.clone());
    let mut server = Running::start(settings.clone(), hello);
    let trust = Trust::File(identity.certificate.clone());
    let known = client_config(&trust, Some(&identity)).unwrap();
    assert!(connect(&server, &known).await.unwrap().ask(REQUEST).await.ends_with("hello"));
    let mut again = connect(&server, &known).await.unwrap();
    assert!(again.ask(REQUEST).await.ends_with("hello"));
    assert_eq!(again.0.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));

    let others = rcgen::generate_simple_self_signed(["others".to_owned()]).unwrap();
    std::fs::write(&ours, others.cert.pem()).unwrap();
    replace(&mut server, &settings).unwrap();
    // In TLS 1.3 a client learns only later that it is refused.
    let Ok(mut client) = connect(&server, &known).await else { return };
    let _ = client.0.write_all(REQUEST.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, client.0.read_to_end(&mut answer)).await.expect("it ends in time");
    assert_eq!(String::from_utf8(answer).unwrap(), "");
}

#[tokio::test]
async fn tls_begins_and_ends_with_the_settings() {
    let (secure, _files, _) = secure();
    let clear = Settings { listeners: settings().listeners, ..secure.clone() };
    let mut server = Running::start(clear.clone(), hello);
    let config = trusting(&secure.listeners[0].tls.as_ref().unwrap().certificates[0]);
    for _ in 0..2 {
        assert!(server.connect().await.ask(REQUEST).await.ends_with("hello"));
        replace(&mut server, &secure).unwrap();
        assert!(connect(&server, &config).await.unwrap().ask(REQUEST).await.ends_with("hello"));
        replace(&mut server, &clear).unwrap();
    }
}

#[tokio::test]
async fn of_port_0_as_many_listeners_stay_as_are_wanted() {
    let two = listening(vec![any_port(), any_port()]);
    let mut server = Running::start(two.clone(), hello);
    let both = addresses(&server);
    replace(&mut server, &two).unwrap();
    assert_eq!(addresses(&server), both);
    replace(&mut server, &settings()).unwrap();
    assert_eq!(addresses(&server), both[..1]);
    let gone = async {
        while TcpStream::connect(both[1]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it accepts no more");
    assert!(server.connect().await.ask(REQUEST).await.ends_with("hello"));
    // The end of the server is that of all.
    replace(&mut server, &two).unwrap();
    assert_eq!(addresses(&server)[..1], both[..1]);
    server.signals.end.cancel();
    server.ended().await;
}

#[tokio::test]
async fn an_address_that_another_listener_gets_refuses_no_client_meanwhile() {
    let free = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let named =
        |name| Settings { listeners: vec![ListenerSettings::at(name, vec![free.into()])], ..settings() };
    let mut server = Running::start_each(named("one"), |info: ConnectInfo| {
        service_fn(move |_| {
            let name = info.listener.to_string();
            Box::pin(async move { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(name))) })
        })
    });
    let mut before = server.connect().await;
    assert!(before.ask(REQUEST).await.ends_with("one"));
    // It waits in the queue that both share.
    let mut waiting = server.connect().await;
    replace(&mut server, &named("two")).unwrap();
    assert!(waiting.ask(REQUEST).await.starts_with("HTTP/1.1 200"));
    assert!(before.ask(REQUEST).await.ends_with("one"));
    assert_eq!(before.rest().await, "", "its listener is gone");
    let other = async {
        while !server.connect().await.ask(REQUEST).await.ends_with("two") {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, other).await.expect("the other listener accepts");
}

#[tokio::test]
async fn a_listener_that_cannot_be_bound_leaves_the_others_as_they_are() {
    let taken = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Running::start(settings(), hello);
    let mut two = settings();
    two.listeners.push(ListenerSettings::at("other", vec![taken.local_addr().unwrap().into()]));
    let refused = replace(&mut server, &two).unwrap_err();
    assert!(
        matches!(refused, BindError::Address { address, .. } if address == taken.local_addr().unwrap().into())
    );
    assert!(server.connect().await.ask(REQUEST).await.ends_with("hello"));
    drop(taken);
    replace(&mut server, &two).unwrap();
    assert_eq!(addresses(&server).len(), 2);
}

#[tokio::test]
async fn all_addresses_of_ipv6_are_with_those_of_ipv4_or_without() {
    let everywhere = |only_v6, port| {
        let listener =
            ListenerSettings::at("all", vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()]);
        Settings { listeners: vec![ListenerSettings { only_v6, ..listener }], ..settings() }
    };
    for only_v6 in [false, true] {
        let mut server = Running::start(everywhere(only_v6, 0), hello);
        let port = server.addresses[0].port();
        let connected = TcpStream::connect(("127.0.0.1", port)).await;
        assert_eq!(connected.is_err(), only_v6, "{connected:?}");
        assert!(TcpStream::connect(("::1", port)).await.is_ok());
        // It would have to be bound again, which cannot be done beside itself.
        let refused = replace(&mut server, &everywhere(!only_v6, 0)).unwrap_err();
        assert!(matches!(refused, BindError::OnlyV6(_)), "{refused}");
        replace(&mut server, &everywhere(only_v6, 0)).unwrap();
    }
}
