//! One keep-alive connection, and at most one request on it: a browser's, for a session's polls, its stream or its
//! POSTs.
//!
//! The task that awaits the response drives it, so that a session is one task with all its connections.

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
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
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
    busy: Option<Busy>,
}

/// What a connection does.
enum Busy {
    /// A request and its complete response.
    Whole(Exchange<Answer>),
    /// A request whose response is read in parts, up to the response's headers.
    Begun(Exchange<(Response<Incoming>, u64)>),
    /// The rest of that response.
    Parts(Box<Parts>),
}

/// A request, its result (with the connection's bytes before it), and the connection for the next one.
type Exchange<T> = Pin<Box<dyn Future<Output = Result<(Connection, T), Fault>> + Send>>;

/// A response that continues.
struct Parts {
    connection: Connection,
    status: StatusCode,
    is_packed: bool,
    body: Incoming,
    /// Bytes that have been accounted for.
    noted: u64,
}

/// A response, or a part of one.
#[derive(Debug)]
pub(in crate::load) struct Answer {
    pub(in crate::load) status: StatusCode,
    /// Whether the body is binary (protocol 3).
    pub(in crate::load) binary: bool,
    pub(in crate::load) body: Bytes,
    /// The bytes of the request and its response on the wire, including the TLS handshake of a new connection.
    pub(in crate::load) bytes: u64,
    /// Whether more of the same response follows.
    pub(in crate::load) goes_on: bool,
}

impl Line {
    /// Creates a line that is not connected yet.
    pub(in crate::load) fn new(connector: &Arc<Connector>, source: Option<IpAddr>) -> Self {
        Self { connector: Arc::clone(connector), source, idle: None, busy: None }
    }

    /// Returns whether a response is pending.
    pub(in crate::load) const fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Sends a request, which replaces a pending one.
    pub(in crate::load) fn ask(&mut self, request: Request<Full<Bytes>>) {
        let asked = ask(Arc::clone(&self.connector), self.source, self.idle.take(), request);
        self.busy = Some(Busy::Whole(Box::pin(async move {
            let (mut connection, (response, noted)) = asked.await?;
            let (parts, body) = response.into_parts();
            let body = drive(&mut connection.driver, body.collect()).await.map_err(broken)?.to_bytes();
            let answer = read(Response::from_parts(parts, body), connection.count.bytes() - noted)?;
            Ok((connection, answer))
        })));
    }

    /// Sends a request whose response is handed out in parts, as they arrive.
    pub(in crate::load) fn ask_for_parts(&mut self, request: Request<Full<Bytes>>) {
        let asked = ask(Arc::clone(&self.connector), self.source, self.idle.take(), request);
        self.busy = Some(Busy::Begun(Box::pin(asked)));
    }

    /// Waits for the response or its next part, or forever if no request is pending. May be dropped and called again.
    pub(in crate::load) async fn answer(&mut self) -> Result<Answer, Fault> {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        match self.busy.take() {
            Some(Busy::Whole(mut exchange)) => match exchange.as_mut().poll(cx) {
                Poll::Ready(ended) => {
                    let (connection, answer) = ended?;
                    self.idle = Some(connection);
                    return Poll::Ready(Ok(answer));
                }
                Poll::Pending => self.busy = Some(Busy::Whole(exchange)),
            },
            Some(Busy::Begun(mut exchange)) => match exchange.as_mut().poll(cx) {
                Poll::Ready(begun) => return self.poll_part(Box::new(Parts::new(begun?)), cx),
                Poll::Pending => self.busy = Some(Busy::Begun(exchange)),
            },
            Some(Busy::Parts(parts)) => return self.poll_part(parts, cx),
            None => {}
        }
        // A server closes idle connections. A client that does not notice would send its request in vain.
        if self.idle.as_mut().is_some_and(|connection| poll_driver(&mut connection.driver, cx).is_ready()) {
            self.idle = None;
        }
        Poll::Pending
    }

    fn poll_part(&mut self, mut parts: Box<Parts>, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        let part = parts.poll_next(cx);
        match &part {
            Poll::Ready(Ok(answer)) if !answer.goes_on => self.idle = Some(parts.connection),
            Poll::Ready(Err(_)) => {}
            Poll::Ready(Ok(_)) | Poll::Pending => self.busy = Some(Busy::Parts(parts)),
        }
        part
    }
}

impl Parts {
    fn new((connection, (response, noted)): (Connection, (Response<Incoming>, u64))) -> Self {
        let (status, is_packed) = (response.status(), response.headers().contains_key(CONTENT_ENCODING));
        Self { connection, status, is_packed, body: response.into_body(), noted }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        if self.is_packed {
            return Poll::Ready(Err(Fault::Encoding("a stream is read as it arrives".to_owned())));
        }
        let mut is_driven = false;
        let frame = loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(frame) => break frame.transpose().map_err(broken)?,
                Poll::Pending if is_driven => return Poll::Pending,
                // What the driver has just read is taken at once.
                Poll::Pending => {
                    let _ = poll_driver(&mut self.connection.driver, cx);
                    is_driven = true;
                }
            }
        };
        let goes_on = frame.is_some();
        let body = frame.and_then(|frame| frame.into_data().ok()).unwrap_or_default();
        let bytes = self.connection.count.bytes();
        let noted = std::mem::replace(&mut self.noted, bytes);
        Poll::Ready(Ok(Answer { status: self.status, binary: false, body, bytes: bytes - noted, goes_on }))
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

/// Drives a connection; ready when it has ended.
fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(living) = driver else { return Poll::Ready(()) };
    if living.as_mut().poll(cx).is_pending() {
        return Poll::Pending;
    }
    *driver = None;
    Poll::Ready(())
}

/// Drives a connection until `work`, which uses it, is done.
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

/// Sends a request and reads the headers of its response. Also returns the connection's byte count before the request.
async fn ask(
    connector: Arc<Connector>,
    source: Option<IpAddr>,
    idle: Option<Connection>,
    mut request: Request<Full<Bytes>>,
) -> Result<(Connection, (Response<Incoming>, u64)), Fault> {
    let mut kept = idle;
    loop {
        let is_kept = kept.is_some();
        let noted = kept.as_ref().map_or(0, |connection| connection.count.bytes());
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(&connector, source).await?,
        };
        let Connection { sender, driver, .. } = &mut connection;
        if drive(driver, sender.ready()).await.is_err() && is_kept {
            continue;
        }
        let sent = sender.try_send_request(request);
        match drive(driver, sent).await {
            Ok(response) => return Ok((connection, (response, noted))),
            Err(mut error) => match error.take_message() {
                // The server has closed an idle connection and has not read this request: a browser repeats it on a new
                // one.
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
        b"" | b"identity" => return Ok(Answer { status, binary, body: packed, bytes, goes_on: false }),
        b"gzip" => GzDecoder::new(&packed[..]).read_to_end(&mut body),
        b"deflate" => ZlibDecoder::new(&packed[..]).read_to_end(&mut body),
        other => return Err(Fault::Encoding(other.escape_ascii().to_string())),
    };
    unpacked.map_err(|error| Fault::Encoding(error.to_string()))?;
    Ok(Answer { status, binary, body: body.into(), bytes, goes_on: false })
}

fn broken(error: hyper::Error) -> Fault {
    if error.is_parse() {
        Fault::NotHttp
    } else if error.is_incomplete_message() {
        Fault::Unanswered
    } else {
        Fault::Broken(error.into())
    }
}
