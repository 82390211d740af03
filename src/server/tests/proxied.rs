//! Connections that begin with a PROXY header.

use proxy_header::{ProxiedAddress, ProxyHeader, Tlv};
use tokio_rustls::TlsConnector;

use super::*;

const CLIENT: &str = "192.0.2.7:4711";
const V1: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn settings(trusted: &str) -> Settings {
    let mut settings = super::settings();
    settings.listeners[0].proxy_protocol = true;
    settings.trusted_proxies = vec![trusted.parse().unwrap()];
    settings
}

/// Starts a server that answers with the client's address.
fn start(settings: Settings) -> Running {
    Running::start_each(settings, |info: ConnectInfo| {
        service_fn(move |_| {
            let body = Full::<Bytes>::from(info.peer.to_string());
            Box::pin(async move { Ok::<_, Infallible>(Response::new(body)) })
        })
    })
}

fn v2(source: &str, destination: &str, padding: usize) -> Vec<u8> {
    let address = ProxiedAddress::stream(source.parse().unwrap(), destination.parse().unwrap());
    let mut bytes = Vec::new();
    let tlvs = (padding > 0).then(|| Tlv::Noop(padding - 3));
    ProxyHeader::with_tlvs(Some(address), tlvs).encode_v2(&mut bytes).unwrap();
    bytes
}

fn local() -> Vec<u8> {
    let mut bytes = Vec::new();
    ProxyHeader::with_local().encode_v2(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_proxy_in_front_says_who_the_client_is() {
    let server = start(settings("127.0.0.0/8"));
    let v6 = "[2001:db8::7]:4711";
    for (header, client) in [
        (V1.as_bytes().to_vec(), CLIENT),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(), v6),
        (v2(CLIENT, "198.51.100.1:443", 0), CLIENT),
        (v2(v6, "[2001:db8::1]:443", 0), v6),
        (v2(CLIENT, "198.51.100.1:443", 500), CLIENT),
    ] {
        let mut connection = server.connect().await;
        let request = [&header, REQUEST.as_bytes()].concat();
        connection.0.write_all(&request).await.unwrap();
        let answer = connection.answer().await;
        assert!(answer.ends_with(&format!("\r\n\r\n{client}")), "{header:?} {answer}");
        // It is said once for the connection.
        assert!(connection.ask(REQUEST).await.ends_with(client));
    }
    // A connection on the proxy's own account: a health check.
    for header in [local(), b"PROXY UNKNOWN\r\n".to_vec(), b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n".to_vec()] {
        let mut connection = server.connect().await;
        connection.0.write_all(&header).await.unwrap();
        let own = connection.0.local_addr().unwrap().to_string();
        assert!(connection.ask(REQUEST).await.ends_with(&own), "{header:?}");
    }
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    let server = start(settings("127.0.0.0/8"));
    for header in [V1.as_bytes().to_vec(), v2(CLIENT, "198.51.100.1:443", 9)] {
        let mut connection = server.connect().await;
        connection.0.set_nodelay(true).unwrap();
        for byte in header.iter().chain(REQUEST.as_bytes()) {
            connection.0.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(connection.answer().await.ends_with(CLIENT));
    }
}

#[tokio::test]
async fn a_connection_without_a_header_is_closed_unanswered() {
    let server = start(settings("127.0.0.0/8"));
    let too_long = v2(CLIENT, "198.51.100.1:443", 600);
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 600]].concat();
    for bytes in [
        REQUEST.as_bytes(),
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\nGET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP5 192.0.2.7 198.51.100.1 4711 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        &too_long,
        &endless,
    ] {
        let mut connection = server.connect().await;
        connection.0.write_all(bytes).await.unwrap();
        let mut read = Vec::new();
        // What lies unread has the system reset the connection.
        let _ = timeout(PATIENCE, connection.0.read_to_end(&mut read)).await.expect("it is closed in time");
        assert_eq!(String::from_utf8_lossy(&read), "", "{bytes:?}");
    }
}

#[tokio::test]
async fn a_header_of_anybody_else_is_refused() {
    let server = start(settings("10.0.0.0/8"));
    let mut connection = server.connect().await;
    connection.0.write_all(format!("{V1}{REQUEST}").as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, connection.0.read_to_end(&mut read)).await.expect("it is closed in time");
    assert_eq!(read, b"");
}

#[tokio::test]
async fn a_header_comes_before_tls() {
    let (secure, _files, certificate) = tls::settings();
    let mut settings = settings("127.0.0.0/8");
    settings.listeners[0].tls = secure.listeners[0].tls.clone();
    let server = start(settings);
    for header in [V1.as_bytes().to_vec(), v2(CLIENT, "198.51.100.1:443", 0)] {
        let mut stream = server.connect().await.0;
        stream.write_all(&header).await.unwrap();
        let stream = TlsConnector::from(tls::trusting(&certificate)).connect(tls::name(), stream).await;
        assert!(Client(stream.unwrap()).ask(REQUEST).await.ends_with(CLIENT));
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let server = start(settings("127.0.0.0/8"));
    for part in [&b""[..], b"PROXY TCP4 192.0.2.7", b"\r\n\r\n\0\r\nQUIT\n\x21\x11"] {
        let began = tokio::time::Instant::now();
        let mut connection = server.connect().await;
        connection.0.write_all(part).await.unwrap();
        let mut read = Vec::new();
        let _ = connection.0.read_to_end(&mut read).await;
        assert!(read.is_empty() && began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    }
}
