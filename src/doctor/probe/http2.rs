//! HTTP/2 by ALPN: the server's SETTINGS, byte for byte, and a WebSocket over it if they announce one (RFC 8441).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, ORIGIN, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{Client, joined};
use super::websocket::{Proof, Socket};
use crate::doctor::facts::Http2;
use crate::tls::ALPN_HTTP2;

/// Looks whether HTTP/2 is spoken. `None` without TLS, where browsers never speak it.
/// The WebSocket is asked for with this query, and must show this proof.
pub(super) async fn examine(client: &Client, query: &str, proof: Proof) -> Option<Http2> {
    client.tls.as_ref()?;
    let Ok(settings) = timeout(client.patience, Box::pin(settings(client))).await else {
        return Some(Http2::Broken("no SETTINGS in time".to_owned()));
    };
    Some(match settings {
        Err(why) => Http2::Broken(why),
        Ok(None) => Http2::NotOffered,
        Ok(Some(false)) => Http2::WithoutWebSocket,
        Ok(Some(true)) => {
            let opened = timeout(client.patience, Box::pin(open(client, query, proof))).await;
            let opened = opened.unwrap_or_else(|_| Err("no complete response in time".to_owned()));
            Http2::WebSocket { asked: format!("CONNECT {}", joined(&client.path, query)), opened }
        }
    })
}

/// Opens a connection that offers HTTP/2; `None` if the server prefers another protocol.
async fn connect(client: &Client) -> Result<Option<TlsStream<TcpStream>>, String> {
    let Some((connector, name)) = &client.tls else { return Ok(None) };
    let mut config = (**connector.config()).clone();
    config.alpn_protocols.insert(0, ALPN_HTTP2.to_vec());
    let stream = TcpStream::connect(&*client.addresses).await.map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name.clone(), stream).await.map_err(|error| error.to_string())?;
    Ok(Some(stream).filter(|stream| stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2)))
}

/// Returns whether the server's first frame announces WebSocket; `None` if HTTP/2 is not agreed on.
async fn settings(client: &Client) -> Result<Option<bool>, String> {
    let Some(mut stream) = connect(client).await? else { return Ok(None) };
    let mut hello = PREFACE.to_vec();
    hello.extend(EMPTY_SETTINGS);
    let broken = |error: std::io::Error| error.to_string();
    stream.write_all(&hello).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.map_err(broken)?;
    let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
    if header[3] != SETTINGS || len > FRAME_MAX {
        return Err("the first frame is not SETTINGS".to_owned());
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.map_err(broken)?;
    let announces = |setting: &[u8]| setting[..2] == ENABLE_CONNECT_PROTOCOL && setting[2..] == [0, 0, 0, 1];
    Ok(Some(body.chunks_exact(6).any(announces)))
}

/// Opens a WebSocket by an extended CONNECT, up to the proof that it carries frames.
async fn open(client: &Client, query: &str, proof: Proof) -> Result<(), String> {
    let target = client.target("", query);
    let stream = connect(client).await?.ok_or("HTTP/2 is not agreed on any more")?;
    let broken = |error: hyper::Error| error.to_string();
    let (mut sender, driver) = http2::Builder::new(TokioExecutor::new())
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let authority = client.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = format!("https://{authority}{target}").parse().map_err(|_| "no URL")?;
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let mut headers = client.headers.clone();
    headers.remove(HOST);
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    debug_assert!(headers.contains_key(ORIGIN));
    *request.headers_mut() = headers;
    let work = async {
        // The server's SETTINGS must have come: a request before them may not be an extended CONNECT.
        sender.ready().await.map_err(broken)?;
        tokio::time::sleep(SETTLED).await;
        let mut response = sender.send_request(request).await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(response.status().to_string());
        }
        let switched = hyper::upgrade::on(&mut response).await.map_err(broken)?;
        let mut socket = Socket::over(TokioIo::new(switched)).await;
        let first = socket.prove(proof, client.patience).await;
        socket.close().await;
        first
    };
    tokio::select! {
        done = work => done,
        ended = driver => Err(ended.err().map_or("the connection ended".to_owned(), |error| error.to_string())),
    }
}

/// How a client begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
/// The type of a SETTINGS frame (RFC 9113, section 6.5).
const SETTINGS: u8 = 4;
/// The setting of RFC 8441, section 3.
const ENABLE_CONNECT_PROTOCOL: [u8; 2] = [0, 8];
/// What a frame may have unless its receiver allows more (RFC 9113, section 4.2).
const FRAME_MAX: usize = 16_384;
/// How long SETTINGS take at most, on a connection that has just answered.
const SETTLED: Duration = Duration::from_millis(300);
