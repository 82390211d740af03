//! A connection to another node: dialled, and upgraded to what nodes speak.

use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::duplex::{Asking, Duplex, set_keepalive};
use crate::peer::PROTOCOL;
use crate::sid::{Node, Tag};

/// Why a node was not reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreached {
    /// Nobody listens there, or somebody else: the sessions are gone.
    Absent,
    /// There was no answer: nobody knows.
    Silent,
    /// It is there, and refuses this node.
    Refused,
}

/// What a node introduces itself with.
#[derive(Clone, Debug)]
pub(super) struct Introduction {
    pub(super) me: Node,
    pub(super) token: HeaderValue,
}

/// Returns a connection to the node with this name, and which start of it this is.
pub(super) async fn dial(
    address: &str,
    tag: Tag,
    introduction: &Introduction,
    within: Duration,
) -> Result<(Duplex, Node), Unreached> {
    let attempt = || async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        set_keepalive(&stream)?;
        upgrade(stream.into(), address, tag, introduction).await
    };
    let dialled = timeout(within, async {
        match attempt().await {
            // The listener of a process that is just ending may still have taken the connection.
            Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                sleep(AGAIN_AFTER).await;
                attempt().await
            }
            done => done,
        }
    });
    match dialled.await {
        Ok(Ok(Some(connection))) => Ok(connection),
        Ok(Ok(None)) => Err(Unreached::Refused),
        Ok(Err(error)) => {
            tracing::debug!(address, %error, "a node was not reached");
            let is_absent = error.kind() == io::ErrorKind::ConnectionRefused;
            Err(if is_absent { Unreached::Absent } else { Unreached::Silent })
        }
        Err(_) => Err(Unreached::Silent),
    }
}

async fn upgrade(
    stream: Duplex,
    address: &str,
    tag: Tag,
    introduction: &Introduction,
) -> io::Result<Option<(Duplex, Node)>> {
    let stream = TokioIo::new(Asking::new(stream));
    let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    let work = async move {
        let request = Request::builder()
            .uri("/")
            .header(HOST, address)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, PROTOCOL)
            .header(AUTHORIZATION, introduction.token.clone())
            .header(NODE, introduction.me.to_string())
            .header(WANT, tag.to_string())
            .body(Empty::<Bytes>::new())
            .map_err(io::Error::other)?;
        let mut response = sender.send_request(request).await.map_err(io::Error::other)?;
        let node = response.headers().get(NODE).and_then(|node| node.to_str().ok()).and_then(Node::parse);
        let node =
            node.filter(|node| node.tag == tag && response.status() == StatusCode::SWITCHING_PROTOCOLS);
        let Some(node) = node else {
            tracing::warn!(address, node = %tag, status = response.status().as_u16(), "a node refuses this one");
            return Ok(None);
        };
        let upgraded = hyper::upgrade::on(&mut response).await.map_err(io::Error::other)?;
        let (stream, read) = Duplex::from_upgraded(upgraded)?;
        Ok(Some((stream.behind(read), node)))
    };
    // Hyper's connection is driven by the one who waits for it.
    let (mut connection, mut work) = (pin!(connection.with_upgrades()), pin!(work));
    let mut is_over = false;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if !is_over && connection.as_mut().poll(cx).is_ready() {
            // A failure reaches the request by itself.
            is_over = true;
            return work.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await
}

/// How soon a connection that broke at once is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
/// Which node speaks, in both directions.
pub const NODE: &str = "polliwog-node";
/// Which node is asked for, by its name.
pub const WANT: &str = "polliwog-want";
