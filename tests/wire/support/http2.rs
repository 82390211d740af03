//! The whole suite over HTTP/2: what a test writes in HTTP/1.1 reaches the target as HTTP/2, and back.
//!
//! Each of a test's connections has a connection of its own to the target, and both end together. A WebSocket becomes
//! an extended CONNECT (RFC 8441).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::ms;

/// Returns whether the suite runs over HTTP/2.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os("POLLIWOG_WIRE_HTTP2").is_some_and(|value| value == "1")
}

/// Returns where a test connects to reach the target: at its own address, or where it is asked by HTTP/2.
pub(crate) fn entrance(target: SocketAddr) -> SocketAddr {
    if is_wanted() { open(target) } else { target }
}

/// Opens such an entrance; it is there until the test ends.
pub(crate) fn open(target: SocketAddr) -> SocketAddr {
    let (sender, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    // A target that is gone closes the test's connection too.
                    let _ = join(near, target).await;
                });
            }
        });
    });
    address.recv().unwrap()
}

type Body = Either<Incoming, Empty<Bytes>>;
type Error = Box<dyn std::error::Error + Send + Sync>;

async fn join(near: TcpStream, target: SocketAddr) -> Result<(), Error> {
    near.set_nodelay(true)?;
    let far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    let (sender, mut connection) = handshake(TokioExecutor::new(), TokioIo::new(far)).await?;
    // Whether WebSockets are accepted is known once the target's settings are read, which wakes nobody.
    while !connection.is_extended_connect_protocol_enabled() {
        tokio::select! {
            _ = &mut connection => return Ok(()),
            () = tokio::time::sleep(ms(2)) => {} // Until the next look.
        }
    }
    // Whether there is a WebSocket, and when it ends.
    let (is_joined, parted) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let socket = (Arc::clone(&is_joined), Arc::clone(&parted));
    let service = service_fn(move |request| pass(sender.clone(), request, socket.clone()));
    let server = hyper::server::conn::http1::Builder::new()
        .max_header_size(128 << 10)
        .max_buf_size(128 << 10)
        .max_headers(600)
        .serve_connection(TokioIo::new(near), service)
        .with_upgrades();
    tokio::pin!(server, connection);
    tokio::select! {
        ended = &mut server => ended?,
        _ = &mut connection => {
            // A response that has come may still be on its way to the test.
            server.as_mut().graceful_shutdown();
            return Ok(server.await?);
        }
    }
    if is_joined.load(Ordering::Relaxed) {
        // HTTP is over on the test's side, and its bytes go on.
        tokio::select! {
            () = parted.notified() => {}
            _ = &mut connection => {}
        }
    }
    Ok(())
}

/// Passes a request on, and its response back.
async fn pass(
    mut to: SendRequest<Body>,
    mut request: Request<Incoming>,
    (is_joined, parted): (Arc<AtomicBool>, Arc<Notify>),
) -> Result<Response<Body>, Error> {
    let upgrade = hyper::upgrade::on(&mut request);
    let key = request.headers_mut().remove(SEC_WEBSOCKET_KEY);
    let is_web_socket = request.headers().get(UPGRADE).is_some_and(|name| name == "websocket");
    let (mut head, body) = request.into_parts();
    let host = head.headers.remove(HOST);
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("wire.test");
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = Uri::try_from(format!("http://{host}{path}"))?;
    head.version = Version::HTTP_2;
    for name in [CONNECTION, UPGRADE, TRANSFER_ENCODING, TE] {
        head.headers.remove(name);
    }
    head.headers.remove("keep-alive");
    let (key, body) = match key.filter(|_| is_web_socket) {
        Some(key) => {
            head.method = Method::CONNECT;
            head.extensions.insert(Protocol::from_static("websocket"));
            (Some(key), Either::Right(Empty::new()))
        }
        None => (None, Either::Left(body)),
    };
    let mut response = to.send_request(Request::from_parts(head, body)).await?;
    let far = hyper::upgrade::on(&mut response);
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    if let Some(key) = key.filter(|_| head.status == StatusCode::OK) {
        is_joined.store(true, Ordering::Relaxed);
        tokio::spawn(async move {
            if let Ok((near, far)) = tokio::try_join!(upgrade, far) {
                let _ = copy_bidirectional(&mut TokioIo::new(near), &mut TokioIo::new(far)).await;
            }
            parted.notify_one();
        });
        head.status = StatusCode::SWITCHING_PROTOCOLS;
        head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        head.headers.insert(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()).parse()?);
        return Ok(Response::from_parts(head, Either::Right(Empty::new())));
    }
    Ok(Response::from_parts(head, Either::Left(body)))
}
