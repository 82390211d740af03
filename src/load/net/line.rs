//! One keep-alive connection, and at most one request on it: a browser's, for a session's polls or for its POSTs.
//!
//! It is driven by whoever waits for its answer, so that a session is one task with all its connections.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::Read as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::connector::Connector;
use super::socket::{Count, Socket};
use crate::load::fault::Fault;

/// A connection that is made when it is first needed, and again when the server has closed it.
pub(in crate::load) struct Line {
    connector: Arc<Connector>,
    source: Option<IpAddr>,
    idle: Option<Connection>,
    busy: Option<Exchange>,
}

/// A request, its answer, and the connection for the next one.
type Exchange = Pin<Box<dyn Future<Output = Result<(Connection, Answer), Fault>> + Send>>;

/// What came back.
#[derive(Debug)]
pub(in crate::load) struct Answer {
    pub(in crate::load) status: StatusCode,
    /// Whether the body is binary (protocol 3).
    pub(in crate::load) binary: bool,
    pub(in crate::load) body: Bytes,
    /// What the request and its answer took on the wire, and a new connection's handshake of TLS.
    pub(in crate::load) bytes: u64,
}

impl Line {
    /// Nothing is dialled yet.
    pub(in crate::load) fn new(connector: &Arc<Connector>, source: Option<IpAddr>) -> Self {
        Self { connector: Arc::clone(connector), source, idle: None, busy: None }
    }

    /// Whether an answer is awaited.
    pub(in crate::load) const fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Sends a request, in place of one that is under way.
    pub(in crate::load) fn ask(&mut self, request: Request<Full<Bytes>>) {
        let exchange = exchange(Arc::clone(&self.connector), self.source, self.idle.take(), request);
        self.busy = Some(Box::pin(exchange));
    }

    /// Waits for the answer, for ever where nothing was asked; may be dropped and called again.
    pub(in crate::load) async fn answer(&mut self) -> Result<Answer, Fault> {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        if let Some(exchange) = &mut self.busy {
            let Poll::Ready(ended) = exchange.as_mut().poll(cx) else { return Poll::Pending };
            self.busy = None;
            let (connection, answer) = ended?;
            self.idle = Some(connection);
            return Poll::Ready(Ok(answer));
        }
        // A server closes what is idle for too long; who isn't told would write into the void.
        if self.idle.as_mut().is_some_and(|connection| poll_driver(&mut connection.driver, cx).is_ready()) {
            self.idle = None;
        }
        Poll::Pending
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("busy", &self.is_busy()).finish_non_exhaustive()
    }
}

type Driver = Pin<Box<http1::Connection<TokioIo<Socket>, Full<Bytes>>>>;

/// hyper's two halves of a connection.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// None when it is over.
    driver: Option<Driver>,
    count: Count,
}

impl Connection {
    async fn open(connector: &Connector, source: Option<IpAddr>) -> Result<Self, Fault> {
        let socket = connector.dial(source).await?;
        let count = socket.count();
        let (sender, driver) = http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
        Ok(Self { sender, driver: Some(Box::pin(driver)), count })
    }
}

/// Lets a connection work; ready when it is over.
fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(living) = driver else { return Poll::Ready(()) };
    if living.as_mut().poll(cx).is_pending() {
        return Poll::Pending;
    }
    *driver = None;
    Poll::Ready(())
}

/// Lets a connection work until `work` is done, which asks something of it.
async fn drive<T>(driver: &mut Option<Driver>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        // What the driver has just read is taken at once, without another turn of the task.
        let _ = poll_driver(driver, cx);
        work.as_mut().poll(cx)
    })
    .await
}

async fn exchange(
    connector: Arc<Connector>,
    source: Option<IpAddr>,
    idle: Option<Connection>,
    mut request: Request<Full<Bytes>>,
) -> Result<(Connection, Answer), Fault> {
    let mut kept = idle;
    loop {
        let is_kept = kept.is_some();
        let before = kept.as_ref().map_or(0, |connection| connection.count.bytes());
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(&connector, source).await?,
        };
        let Connection { sender, driver, count } = &mut connection;
        if drive(driver, sender.ready()).await.is_err() && is_kept {
            continue;
        }
        let sent = sender.try_send_request(request);
        match drive(driver, sent).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = drive(driver, body.collect()).await.map_err(broken)?.to_bytes();
                let answer = read(Response::from_parts(parts, body), count.bytes() - before)?;
                return Ok((connection, answer));
            }
            Err(mut error) => match error.take_message() {
                // The server has closed an idle connection and has not read this: a browser asks again on another.
                Some(unsent) if is_kept => request = unsent,
                _ => return Err(broken(error.into_error())),
            },
        }
    }
}

fn read(response: Response<Bytes>, bytes: u64) -> Result<Answer, Fault> {
    let header = |name| response.headers().get(name).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let binary = header(CONTENT_TYPE).starts_with(b"application/octet-stream");
    let encoding = header(CONTENT_ENCODING).to_owned();
    let status = response.status();
    let packed = response.into_body();
    let mut body = Vec::new();
    let unpacked = match encoding.as_slice() {
        b"" | b"identity" => return Ok(Answer { status, binary, body: packed, bytes }),
        b"gzip" => GzDecoder::new(&packed[..]).read_to_end(&mut body),
        b"deflate" => ZlibDecoder::new(&packed[..]).read_to_end(&mut body),
        other => return Err(Fault::Malformed(format!("content-encoding {}", other.escape_ascii()))),
    };
    unpacked.map_err(|error| Fault::Malformed(error.to_string()))?;
    Ok(Answer { status, binary, body: body.into(), bytes })
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::Broken(error.into())
}
