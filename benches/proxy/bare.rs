//! The yardstick: a server of hyper and nothing else, which answers `/hello` and lets every other request wait.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Serves until it is killed.
pub(crate) fn run(address: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(address).await?;
        let connections = TaskTracker::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = service_fn(|request| async move {
                if is_hello(request) {
                    return Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"hello"))));
                }
                std::future::pending().await
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .half_close(false)
                .serve_connection(TokioIo::new(stream), service);
            // Whatever a client did wrong, it finds out itself.
            connections.spawn(async move { drop(connection.await) });
        }
    })
}

/// The request is gone before anybody waits, as it is in the proxy.
fn is_hello(request: http::Request<hyper::body::Incoming>) -> bool {
    request.into_parts().0.uri.path() == "/hello"
}
