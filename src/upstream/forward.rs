//! Plain HTTP to a backend: a request is sent over a pooled connection, and its body and the response's are streamed.
//!
//! A request is sent only once, except in two cases. If a connection has not begun to write it, it goes to the next
//! one, since an idle connection may turn out to be closed. And a safe request without a body (GET, HEAD, OPTIONS,
//! TRACE) is repeated if a connection that had been idle breaks without a response (RFC 9110, section 9.2.2).

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as _;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::background::Background;
use crate::budget::Charge;
use crate::client_body::ClientBody;
use crate::duplex::{Asking, Patience};
use crate::spelling::Spelling;
use crate::upstream::address::Place;
use crate::upstream::affinity::{self, Key};
use crate::upstream::answer::{self, Forwarded, Requested};
use crate::upstream::body_pace::{BodyLimits, TooSlow};
use crate::upstream::connector::Connector;
use crate::upstream::deadline::Deadline;
use crate::upstream::handshake;
use crate::upstream::lease::Lease;
use crate::upstream::pinned::{self, Pinned};
use crate::upstream::pool::{Connection, Pool};
use crate::upstream::request_body::{BodyError, Expectation, RequestBody, Watch};
use crate::upstream::target::Target;
use crate::upstream::{Host, OpenError, Settings};

/// Forwards requests to one upstream.
#[derive(Debug)]
pub struct Forwarder {
    connector: Arc<dyn Connector>,
    pool: Arc<Pool>,
    host: Host,
    handshake_timeout: Duration,
    response_timeout: Duration,
}

/// A request to forward. The service floor has removed what must not be forwarded.
#[derive(Debug)]
pub struct ForwardRequest {
    /// The method.
    pub method: Method,
    /// The target, as the client wrote it.
    pub uri: Uri,
    /// The prefix of the path that the upstream's URL replaces; without one the path is unchanged.
    pub prefix: Option<String>,
    /// Headers to send: the client's, filtered, with `Host` as the client sent it and the forwarding headers added.
    pub headers: HeaderMap,
    /// The client's address, as trusted proxies in front report it; `None` if it came by a Unix socket.
    pub client: Option<IpAddr>,
    /// How the client spells the headers' names.
    pub spelling: Spelling,
    /// The body.
    pub body: ClientBody,
    /// Counts what is held of it.
    pub charge: Charge,
    /// How large and how slow it may be.
    pub body_limits: BodyLimits,
    /// How long the backend may stop reading the body, or pause in its response.
    pub stall_timeout: Duration,
    /// The backend connections that belong to the client's connection.
    pub pinned: Pinned,
    /// Whether its client's headers speak of a login that belongs to the connection ([`is_login`](super::is_login)).
    pub is_login: bool,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// It is the upstream's fault.
    #[error(transparent)]
    Upstream(#[from] OpenError),
    /// The client's body is incomplete or malformed: 400.
    #[error("the request body is incomplete")]
    Client(#[source] hyper::Error),
    /// The path leaves the upstream's URL: 400.
    #[error("the path leaves its route")]
    Path,
    /// The client sent nothing of its body for the time that the backend has for its response: 408.
    #[error("the request body did not arrive within {} ms", .0.as_millis())]
    ClientSlow(Duration),
    /// The client sends its body too slowly: 408.
    #[error("the request body is too slow")]
    ClientTrickles(TooSlow),
    /// The client's body is too large: 413. What is left of it should be read.
    #[error("the request body is too large")]
    TooLarge(Option<Box<ClientBody>>),
}

impl Forwarder {
    pub(super) fn new(connector: Arc<dyn Connector>, settings: &Settings, background: Background) -> Self {
        Self {
            connector,
            pool: Pool::new(background),
            host: settings.host,
            handshake_timeout: settings.handshake_timeout,
            response_timeout: settings.response_timeout,
        }
    }

    /// Sends a request, and waits for the response to begin.
    ///
    /// If the future, or the unread body of the response, is dropped, its connection is closed.
    ///
    /// # Errors
    /// There is no response; each variant gives the client a different one.
    pub async fn ask(&self, request: ForwardRequest) -> Result<Forwarded, ForwardError> {
        let key = self.connector.key(&request.headers, affinity::query(&request.uri), request.client);
        let ForwardRequest {
            method,
            uri,
            prefix,
            headers,
            spelling,
            body,
            charge,
            body_limits,
            stall_timeout,
            pinned,
            is_login,
            ..
        } = request;
        let is_replayable = body.is_end_stream() && method.is_safe() && !headers.contains_key(UPGRADE);
        let mut head = Head { method, uri, prefix, headers, spelling };
        let expectation = head.prepare(&body);
        let (mut body, watch) = RequestBody::new(body, charge, expectation, body_limits);
        let mut is_again = false;
        let mut place = None;
        loop {
            // Even if this request contains no login: the backend identifies its client by the connection.
            let idle = match pinned.take(&self.pool).await {
                Some(own) => Some(own),
                // One idle connection has failed, and a backend that restarted has closed them all.
                None if is_again => None,
                None => {
                    place = place.or_else(|| self.connector.place(key));
                    self.pool.take(place.as_ref().map(Place::endpoint))
                }
            };
            let was_idle = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.connect(&mut place, key).await?,
            };
            connection.patience.set(stall_timeout);
            connection.is_personal |= is_login;
            // A fresh connection that breaks is the backend's answer to this request, and not its idle timeout.
            let copy = (was_idle && is_replayable).then(|| head.clone());
            let asked = Asked::of(&head);
            let request = head.into_request(&connection.target, self.host, body, &watch)?;
            (head, body) =
                match (self.ask_over(connection, request, &watch, &asked, &pinned, &mut place).await, copy) {
                    (Ok(answer), _) => return Ok(answer),
                    (Err(Failure::Unwritten(request)), _) if was_idle => asked.again(*request),
                    (Err(Failure::Unwritten(_)), _) => return Err(lost().into()),
                    (Err(Failure::Broken(OpenError::Down(_))), Some(head)) => {
                        is_again = true;
                        (head, RequestBody::empty())
                    }
                    (Err(Failure::Broken(error)), _) => return Err(error.into()),
                    (Err(Failure::Client(error)), _) => return Err(error),
                };
        }
    }

    /// Connects to the chosen address or to another one, which takes its place.
    async fn connect(&self, place: &mut Option<Place>, key: Option<Key>) -> Result<Connection, OpenError> {
        let deadline = Deadline::after(self.handshake_timeout);
        let connecting = Arc::clone(&self.connector).connection(place.take(), key, deadline);
        let (stream, target, at) = connecting.await?;
        *place = at;
        // The connection serves one route after another: each request sets its own limit.
        let patience = Patience::new(self.response_timeout);
        let stream = stream.with_patience(Some(patience.clone()));
        let stream = Asking::new(stream);
        let answers = stream.answers();
        let shaken = handshake::builder().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(handshake::handle_error)?;
        let life = CancellationToken::new();
        let until = life.clone();
        self.pool.spawn(async move {
            // A failure reaches the request by itself.
            let _ = until.run_until_cancelled(connection.with_upgrades()).await;
        });
        let endpoint = place.as_ref().map(Place::endpoint);
        Ok(Connection { sender, target, endpoint, patience, answers, life, is_personal: false })
    }

    async fn ask_over(
        &self,
        mut connection: Connection,
        request: Request<RequestBody>,
        watch: &Arc<Watch>,
        asked: &Asked,
        pinned: &Pinned,
        place: &mut Option<Place>,
    ) -> Result<Forwarded, Failure> {
        connection.answers.await_next();
        let response = {
            let mut answering = pin!(connection.sender.try_send_request(request));
            loop {
                let due = watch.moved() + self.response_timeout;
                let look = match watch.check_pace() {
                    Ok(look) => look.unwrap_or(due),
                    Err(slow) => return Err(Failure::Client(ForwardError::ClientTrickles(slow))),
                };
                tokio::select! {
                    biased;
                    answer = &mut answering => break answer,
                    () = sleep_until(due.min(look)) => {}
                }
                if Instant::now() < due {
                    continue;
                }
                // While the body moves, neither side is late.
                if watch.moved() + self.response_timeout > due {
                    continue;
                }
                return Err(if watch.asks_client() {
                    Failure::Client(ForwardError::ClientSlow(self.response_timeout))
                } else {
                    Failure::Broken(OpenError::Slow(self.response_timeout))
                });
            }
        };
        match response {
            Ok(response) => {
                answer::check(&response, asked.requested).map_err(Failure::Broken)?;
                let stall_timeout = connection.patience.limit();
                connection.is_personal |= pinned::is_login(response.headers());
                let lease = Lease::new(&self.pool, pinned.clone(), connection, place.take());
                Ok(Forwarded::new(response, lease, watch, asked.requested, stall_timeout))
            }
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Failure::Unwritten(Box::new(request)),
                None => Failure::of(error.into_error(), watch),
            }),
        }
    }
}

/// A failure on one connection.
enum Failure {
    /// The connection was closed before it took the request.
    Unwritten(Box<Request<RequestBody>>),
    /// The backend's fault: it may have seen the request.
    Broken(OpenError),
    /// The client's fault.
    Client(ForwardError),
}

impl Failure {
    fn of(error: hyper::Error, watch: &Watch) -> Self {
        let body = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<BodyError>());
        match body {
            Some(BodyError::Client(_)) if error.is_user() => {
                return Self::Client(ForwardError::Client(error));
            }
            Some(BodyError::TooLarge) if error.is_user() => {
                return Self::Client(ForwardError::TooLarge(watch.take_rest().map(Box::new)));
            }
            Some(BodyError::Client(_) | BodyError::TooLarge | BodyError::Refused) | None => {}
        }
        Self::Broken(handshake::handle_error(error))
    }
}

/// A request without its body.
#[derive(Clone)]
struct Head {
    method: Method,
    uri: Uri,
    prefix: Option<String>,
    headers: HeaderMap,
    spelling: Spelling,
}

impl Head {
    /// Sets how the body is framed towards the backend, and whether it waits for a 100.
    fn prepare(&mut self, body: &ClientBody) -> Expectation {
        if body.is_end_stream() {
            // Without a body there is nothing to wait for.
            self.headers.remove(EXPECT);
        } else if !self.headers.contains_key(CONTENT_LENGTH) {
            // By default, hyper would leave out the body of a GET.
            self.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        match self.headers.get(EXPECT) {
            Some(expected) if expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                Expectation::Continue
            }
            Some(_) | None => Expectation::None,
        }
    }

    fn into_request(
        self,
        target: &Target,
        host: Host,
        body: RequestBody,
        watch: &Arc<Watch>,
    ) -> Result<Request<RequestBody>, ForwardError> {
        let uri = target.forwarded(&self.uri, self.prefix.as_deref()).ok_or(ForwardError::Path)?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        self.spelling.apply(request.extensions_mut());
        if host == Host::Upstream || !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, target.authority().clone());
        }
        if request.headers().contains_key(EXPECT) {
            let watch = Arc::clone(watch);
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == StatusCode::CONTINUE {
                    watch.allow();
                }
            });
        }
        Ok(request)
    }
}

/// The part of a request that is kept while it is pending.
struct Asked {
    uri: Uri,
    prefix: Option<String>,
    spelling: Spelling,
    requested: Requested,
}

impl Asked {
    fn of(head: &Head) -> Self {
        Self {
            uri: head.uri.clone(),
            prefix: head.prefix.clone(),
            spelling: head.spelling.clone(),
            requested: match head.method {
                Method::HEAD => Requested::Head,
                _ if head.headers.contains_key(UPGRADE) => Requested::Upgrade,
                _ => Requested::Body,
            },
        }
    }

    /// Takes apart a request that was not written.
    fn again(self, request: Request<RequestBody>) -> (Head, RequestBody) {
        let (parts, body) = request.into_parts();
        let Self { uri, prefix, spelling, .. } = self;
        (Head { method: parts.method, uri, prefix, headers: parts.headers, spelling }, body)
    }
}

fn lost() -> OpenError {
    OpenError::Down(io::ErrorKind::UnexpectedEof.into())
}
