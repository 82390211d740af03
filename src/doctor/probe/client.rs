//! One request on a connection of its own, with a bound for time and size.
//!
//! Nothing here judges: whatever a server does becomes an [`Exchange`].

use std::future::{Future, poll_fn};
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use flate2::read::{GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::chain::Chain;
use crate::doctor::facts::{Answer, BODY_MAX, Exchange, Failure, Head, Packing};
use crate::tls::{self, Unverified};

/// The server, and what every request to it has in common.
pub(in crate::doctor) struct Client {
    /// Tried in turn.
    pub(in crate::doctor) addresses: Vec<SocketAddr>,
    /// For a secure URL: the name that the certificate must carry.
    pub(in crate::doctor) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// What accepts any certificate and notes what is wrong with it, if that is wanted.
    pub(in crate::doctor) unverified: Option<Arc<Unverified>>,
    pub(in crate::doctor) path: String,
    /// The query of the user's URL.
    pub(in crate::doctor) query: String,
    /// A browser's headers, with the user's in their place.
    pub(in crate::doctor) headers: HeaderMap,
    /// The names of the user's headers that a page of another origin needs permission for.
    pub(in crate::doctor) own: Vec<HeaderName>,
    /// How long an answer may take.
    pub(in crate::doctor) patience: Duration,
    /// The headers of all responses.
    pub(in crate::doctor) heads: Mutex<Vec<Head>>,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    method: Method,
    query: String,
    /// The query as it is shown.
    shown: String,
    /// What follows the URL's path, and how it is shown.
    tail: (String, String),
    headers: HeaderMap,
    body: Bytes,
    patience: Option<Duration>,
    /// What is waited for in a response that goes on.
    until: Option<&'static str>,
}

/// A connection that has become a WebSocket's.
pub(super) type Switched = TokioIo<Upgraded>;

impl Ask {
    /// Creates a request with a query, and a part of the query that is a secret.
    pub(super) fn new(method: Method, query: &str, secret: Option<(&str, &str)>) -> Self {
        let (mut whole, mut shown) = (query.to_owned(), query.to_owned());
        if let Some((key, value)) = secret {
            whole = format!("{query}&{key}={value}");
            shown = format!("{query}&{key}=...");
        }
        Self {
            method,
            query: whole,
            shown,
            tail: Default::default(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            patience: None,
            until: None,
        }
    }

    /// Creates a request for what is below the URL's path, by segments that are secrets and a last one.
    pub(super) fn below(method: Method, secret: &str, last: &str) -> Self {
        let tail = (format!("/{secret}/{last}"), format!("/.../{last}"));
        Self { tail, ..Self::new(method, "", None) }
    }

    /// Creates a request for the segment below the URL's path.
    pub(super) fn at(method: Method, last: &str) -> Self {
        let tail = (format!("/{last}"), format!("/{last}"));
        Self { tail, ..Self::new(method, "", None) }
    }

    /// Asks the segment below the URL's path that is a secret.
    pub(super) fn of(mut self, secret: &str) -> Self {
        self.tail = (format!("/{secret}"), "/...".to_owned());
        self
    }

    /// Reads the response only up to this.
    pub(super) fn until(mut self, text: &'static str) -> Self {
        self.until = Some(text);
        self
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds a body.
    pub(super) fn sending(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Waits for the answer this long.
    pub(super) fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
}

impl Client {
    /// Sends a request and reads the response.
    pub(super) async fn ask(&self, ask: Ask) -> Exchange {
        self.ask_to_switch(ask).await.0
    }

    /// Does the same, and returns the connection if the server switched protocols.
    pub(super) async fn ask_to_switch(&self, ask: Ask) -> (Exchange, Option<Switched>) {
        let asked = format!("{} {}", ask.method, joined(&self.path_to(&ask.tail.1), &ask.shown));
        let patience = ask.patience.unwrap_or(self.patience);
        let began = Instant::now();
        let mut answer = None;
        // Boxed, because hyper's connection is large.
        let attempt = Box::pin(self.attempt(ask, began, &mut answer));
        let (failure, switched) = match timeout_at(began + patience, attempt).await {
            Ok(Ok(switched)) => (None, switched),
            Ok(Err(failure)) => (Some(failure), None),
            Err(_) => (Some(Failure::Late(patience)), None),
        };
        let answer = answer.map(unpacked);
        self.note(&asked, answer.as_ref(), began.elapsed());
        (Exchange { asked, took: began.elapsed(), answer, failure }, switched)
    }

    async fn attempt(
        &self,
        ask: Ask,
        began: Instant,
        answer: &mut Option<Answer>,
    ) -> Result<Option<Switched>, Failure> {
        let until = ask.until;
        let request = self.request(ask);
        let connection = self.connect().await?;
        let (mut sender, driver) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake::<_, Full<Bytes>>(TokioIo::new(connection))
            .await
            .map_err(|error| broken(&error))?;
        let mut driver: Option<Driver> = Some(Box::pin(driver.with_upgrades()));
        let sent = sender.send_request(request);
        let mut response = drive(&mut driver, sent).await.map_err(|error| broken(&error))?;
        let answer = answer.insert(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: Bytes::new(),
            packing: Packing::Right,
            head_took: began.elapsed(),
        });
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let switched = hyper::upgrade::on(&mut response);
            let switched = drive(&mut driver, switched).await.map_err(|error| broken(&error))?;
            return Ok(Some(TokioIo::new(switched)));
        }
        let mut body = BytesMut::new();
        let read = drive(&mut driver, read(response, &mut body, &mut answer.body, until)).await;
        read.map(|()| None)
    }

    fn request(&self, ask: Ask) -> Request<Full<Bytes>> {
        let target = self.target(&ask.tail.0, &ask.query);
        let mut request = Request::new(Full::new(ask.body));
        *request.method_mut() = ask.method;
        // The path was taken from a URL, and an id was checked.
        *request.uri_mut() = target.parse().unwrap_or_default();
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        let cookies = [headers.get(COOKIE), ask.headers.get(COOKIE)].into_iter().flatten();
        let cookies = cookies.map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
        headers.extend(ask.headers);
        if let Ok(cookies) = HeaderValue::from_bytes(&cookies)
            && !cookies.is_empty()
        {
            headers.insert(COOKIE, cookies);
        }
        debug_assert!(headers.contains_key(HOST));
        request
    }

    /// Returns the target of a request for what is below the URL's path, with the user's query and another one.
    pub(super) fn target(&self, tail: &str, query: &str) -> String {
        let all = [&*self.query, query].into_iter().filter(|query| !query.is_empty());
        joined(&self.path_to(tail), &all.collect::<Vec<_>>().join("&"))
    }

    fn path_to(&self, tail: &str) -> String {
        if tail.is_empty() { self.path.clone() } else { format!("{}{tail}", self.path.trim_end_matches('/')) }
    }

    /// Keeps the headers of a response.
    fn note(&self, asked: &str, answer: Option<&Answer>, took: Duration) {
        let Some(Answer { headers, packing, head_took, .. }) = answer else { return };
        // The rest of the response may have come much later.
        let at = SystemTime::now() - took.saturating_sub(*head_took);
        let (asked, headers, packing) = (asked.to_owned(), headers.clone(), *packing);
        let mut heads = self.heads();
        if heads.len() < HEADS_MAX {
            heads.push(Head { asked, headers, packing, at });
        }
    }

    /// Returns the headers of all responses so far.
    pub(super) fn heads(&self) -> MutexGuard<'_, Vec<Head>> {
        // No code panics while it holds the lock.
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection.
    async fn connect(&self) -> Result<Box<dyn Stream>, Failure> {
        let connected = TcpStream::connect(&*self.addresses).await;
        let stream = connected.map_err(|error| Failure::Connect(error.to_string()))?;
        // Without it the connection works as well.
        let _ = stream.set_nodelay(true);
        let Some((connector, name)) = &self.tls else { return Ok(Box::new(stream)) };
        match connector.connect(name.clone(), stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(Failure::Connect(untrusted(&name.to_str(), error))),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Returns why there is no TLS with a host, and what helps where its certificate is not trusted.
fn untrusted(host: &str, error: io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let help = if matches!(cause, Some(rustls::Error::InvalidCertificate(_))) {
        "; --ca names a file of authorities to trust, --insecure examines the rest"
    } else {
        ""
    };
    format!("{}{help}", Chain(&tls::Failure::at(host, error)))
}

/// A byte stream, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Drives a connection until `work`, which uses it, is done.
async fn drive<T>(driver: &mut Option<Driver>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        poll_driver(driver, cx);
        // What the driver has just read is taken at once.
        work.as_mut().poll(cx)
    })
    .await
}

fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
        *driver = None;
    }
}

/// Reads a body; what has come so far is kept even if the rest never comes.
async fn read(
    response: Response<Incoming>,
    body: &mut BytesMut,
    kept: &mut Bytes,
    until: Option<&str>,
) -> Result<(), Failure> {
    let mut rest = response.into_body();
    while let Some(frame) = rest.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        let room = BODY_MAX - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        *kept = body.clone().freeze();
        if data.len() > room {
            return Err(Failure::TooLong);
        }
        if until.is_some_and(|text| memchr::memmem::find(kept, text.as_bytes()).is_some()) {
            return Ok(());
        }
    }
    Ok(())
}

/// Undoes one compression. A body that says something else than it is stays as it came.
fn unpacked(mut answer: Answer) -> Answer {
    let encoding = answer.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    let (packed, mut body) = (answer.body.clone(), Vec::new());
    let read = match encoding {
        b"gzip" => GzDecoder::new(&packed[..]).take(BODY_MAX as u64).read_to_end(&mut body),
        b"deflate" => ZlibDecoder::new(&packed[..]).take(BODY_MAX as u64).read_to_end(&mut body),
        _ => {
            body = packed.to_vec();
            Ok(0)
        }
    };
    if read.is_err() && !packed.is_empty() {
        answer.packing = Packing::Wrong;
        return answer;
    }
    if body.starts_with(GZIP) {
        answer.packing = Packing::Again;
    }
    answer.body = body.into();
    answer
}

/// Returns a path with a query, if there is one.
pub(super) fn joined(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

fn broken(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::NotHttp(error.to_string()) } else { Failure::HungUp }
}

/// How what gzip has packed begins (RFC 1952, section 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How many responses' headers are kept: more than there are, unless the server talks all the time.
const HEADS_MAX: usize = 100;
/// How long a response's headers may be.
const HEAD_MAX: usize = 64 << 10;
