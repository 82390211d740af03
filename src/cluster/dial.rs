//! A connection to another node: dialled, and upgraded to what nodes speak.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE};
use http::response::Parts;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};

use super::greeting::{Greeting, Me};
use super::local;
use super::secured::{Secured, is_refusal};
use crate::chain::Chain;
use crate::duplex::{Asking, Duplex};
use crate::peer::PROTOCOL;
use crate::sid::Tag;
use crate::throttle::Throttle;

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

/// How other nodes are connected: the seam between when a node is dialled and what a dial is.
pub trait Way: fmt::Debug + Send + Sync {
    /// Returns a connection to the node with this name, and what it tells of itself. `refused` throttles the log.
    fn dial<'w>(
        &'w self,
        address: &'w str,
        tag: Tag,
        refused: &'w Throttle,
    ) -> BoxFuture<'w, Result<(Duplex, Greeting), Unreached>>;

    /// Returns what the node at this address tells of itself to a node of this one's name: it refuses that one.
    fn greet<'w>(&'w self, address: &'w str) -> BoxFuture<'w, Option<Greeting>>;
}

/// Over the network, or a socket of this host.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) me: Me,
    pub(super) token: HeaderValue,
    pub(super) secured: Secured,
    /// The longest wait for a connection.
    pub(super) within: Duration,
}

impl Way for Introduction {
    fn dial<'w>(
        &'w self,
        address: &'w str,
        tag: Tag,
        refused: &'w Throttle,
    ) -> BoxFuture<'w, Result<(Duplex, Greeting), Unreached>> {
        dial(address, tag, self, refused).boxed()
    }

    fn greet<'w>(&'w self, address: &'w str) -> BoxFuture<'w, Option<Greeting>> {
        greet(address, self).boxed()
    }
}

async fn dial(
    address: &str,
    tag: Tag,
    introduction: &Introduction,
    refused: &Throttle,
) -> Result<(Duplex, Greeting), Unreached> {
    let attempt = || async {
        if let Some(path) = local::path_of(address) {
            return local::connected(path, &introduction.me).await.map(Some);
        }
        upgrade(introduction.secured.connect(address).await?, address, tag, introduction, refused).await
    };
    let dialled = timeout(introduction.within, async {
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
        Ok(Err(error)) if is_refusal(&error) => {
            if let Some(count) = refused.count() {
                let error = Chain(&error);
                tracing::warn!(address, node = %tag, count, %error, "no TLS with a node");
            }
            Err(Unreached::Refused)
        }
        Ok(Err(error)) => {
            tracing::debug!(address, %error, "a node was not reached");
            let is_absent = error.kind() == io::ErrorKind::ConnectionRefused;
            Err(if is_absent { Unreached::Absent } else { Unreached::Silent })
        }
        Err(_) => Err(Unreached::Silent),
    }
}

async fn greet(address: &str, introduction: &Introduction) -> Option<Greeting> {
    let asked = async {
        let request = introduced(address, introduction.me.node.tag, introduction)?;
        exchange(introduction.secured.connect(address).await?, request).await
    };
    let (head, _) = timeout(introduction.within, asked).await.ok()?.ok()?;
    Greeting::read(&head.headers)
}

/// Asks the node at this address which one it is, as nobody who wants to connect.
pub(super) async fn inquire(
    address: &str,
    tag: Tag,
    token: &HeaderValue,
    secured: &Secured,
) -> io::Result<Parts> {
    let (head, _) = exchange(secured.connect(address).await?, request(address, tag, token)?).await?;
    Ok(head)
}

async fn upgrade(
    stream: Duplex,
    address: &str,
    tag: Tag,
    introduction: &Introduction,
    refused: &Throttle,
) -> io::Result<Option<(Duplex, Greeting)>> {
    let (head, upgraded) = exchange(stream, introduced(address, tag, introduction)?).await?;
    let greeting = Greeting::read(&head.headers).filter(|greeting| greeting.node.tag == tag);
    let (Some(greeting), Some(upgraded)) = (greeting, upgraded) else {
        if let Some(count) = refused.count() {
            let (status, why) = (head.status.as_u16(), reason(&head));
            tracing::warn!(address, node = %tag, status, count, "a node refuses this one: {why}");
        }
        return Ok(None);
    };
    let (stream, read) = Duplex::from_upgraded(upgraded)?;
    Ok(Some((stream.behind(read), greeting)))
}

/// Returns why a node refuses this one.
fn reason(head: &Parts) -> &'static str {
    match head.status {
        StatusCode::UNAUTHORIZED => "it has another token",
        StatusCode::CONFLICT => "it has this node's name",
        StatusCode::MISDIRECTED_REQUEST | StatusCode::SWITCHING_PROTOCOLS => "it has another name",
        _ => "no node of a cluster listens there",
    }
}

/// Returns the request by which a node introduces itself.
fn introduced(address: &str, tag: Tag, introduction: &Introduction) -> io::Result<Request<Empty<Bytes>>> {
    let mut request = request(address, tag, &introduction.token)?;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    introduction.me.write(headers);
    Ok(request)
}

fn request(address: &str, tag: Tag, token: &HeaderValue) -> io::Result<Request<Empty<Bytes>>> {
    Request::builder()
        .uri("/")
        .header(HOST, address)
        .header(AUTHORIZATION, token.clone())
        .header(WANT, tag.to_string())
        .body(Empty::new())
        .map_err(io::Error::other)
}

/// Returns the response's header, and the stream behind a 101.
async fn exchange(stream: Duplex, request: Request<Empty<Bytes>>) -> io::Result<(Parts, Option<Upgraded>)> {
    let stream = TokioIo::new(Asking::new(stream));
    let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    let work = async move {
        let mut response = sender.send_request(request).await.map_err(io::Error::other)?;
        let upgraded = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            Some(hyper::upgrade::on(&mut response).await.map_err(io::Error::other)?)
        } else {
            None
        };
        Ok((response.into_parts().0, upgraded))
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
/// Which node is asked for, by its name.
pub const WANT: &str = "polliwog-want";
