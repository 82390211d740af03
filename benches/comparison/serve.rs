//! What the servers that are part of this program have in common: they serve HTTP, and take commands beside it.

use std::net::SocketAddr;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Serves every connection.
pub(crate) async fn connections<S, B>(address: SocketAddr, service: S) -> anyhow::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: std::error::Error + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let socket = TcpSocket::new_v4()?;
    // Its port is reserved by a socket that is bound to it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let tasks = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .half_close(false)
            .serve_connection(TokioIo::new(stream), service.clone())
            .with_upgrades();
        // A client notices a failed connection itself.
        tasks.spawn(async move { drop(connection.await) });
    }
}

/// Calls `push` with the number of each group that is to get a message.
pub(crate) async fn commands(
    control: SocketAddr,
    push: impl Fn(usize) + Send + Sync + 'static,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let listener = TcpListener::bind(control).await?;
    Ok(TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        loop {
            push(stream.read_u16().await?.into());
        }
    }))
}

const BACKLOG: u32 = 4096;
