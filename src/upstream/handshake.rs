//! The opening handshake of a WebSocket client (RFC 6455, section 4.1), over one stream by hyper.
//!
//! There is no task: the future that waits for the handshake also drives hyper's connection, so that dropping it closes
//! the socket.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::duplex::{Agreed, Asking, Buffers, Deflate, Duplex, Stalled, TooManyInterim};
use crate::hop;
use crate::reply::{Refused, Refuser, Reply};
use crate::spelling::Spelling;
use crate::upstream::kept_headers;
use crate::upstream::late_refusal::{Greeting, greeting};
use crate::upstream::socket::Socket;
use crate::upstream::target::Target;
use crate::upstream::{Host, OpenError, OpenRequest, Relayed};

/// What all handshakes with an upstream share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The `Host` that the backend sees.
    pub(super) host: Host,
    /// What the link adds to the query.
    pub(super) query: &'static str,
    /// The largest message that will be read, in bytes on the wire.
    pub(super) message_max: usize,
    /// The buffer sizes.
    pub(super) buffers: Buffers,
    /// The shortest message that is compressed, if the backend agrees; `None` does not ask it.
    pub(super) deflate: Option<usize>,
    /// Which side sends first on the WebSocket.
    pub(super) first: First,
}

/// Which side sends first on a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum First {
    /// The backend, as in Engine.IO: its first message may be a late refusal.
    Server,
    /// Either.
    Anybody,
}

/// The result of a handshake.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) socket: Socket,
    /// The headers of the response, without hop-by-hop ones.
    pub(super) headers: HeaderMap,
    /// The subprotocol that the backend chose.
    pub(super) subprotocol: Option<HeaderValue>,
}

/// Requests a WebSocket with the client's own handshake: key, version, subprotocols and extensions are in the request's
/// headers, and the client checks the response.
pub(super) async fn perform_for(
    stream: Duplex,
    target: &Target,
    request: OpenRequest,
    host: Host,
) -> Result<Relayed, OpenError> {
    let (mut sender, connection) = connect(stream).await?;
    let work = async move {
        let request = build_request(target, request, host, "")?;
        let mut response = sender.send_request(request).await.map_err(handle_error)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(judge(response).await);
        }
        let upgraded = hyper::upgrade::on(&mut response).await.map_err(handle_error)?;
        let (stream, read_ahead) = Duplex::from_upgraded(upgraded).map_err(OpenError::Down)?;
        let mut headers = std::mem::take(response.headers_mut());
        kept_headers::keep_of_refusal(&mut headers);
        let spelling = Spelling::of_response(std::mem::take(response.extensions_mut()));
        Ok(Relayed { stream, read_ahead, headers, spelling })
    };
    alongside(connection.with_upgrades(), work).await
}

pub(super) type Connection =
    (http1::SendRequest<Empty<Bytes>>, http1::Connection<TokioIo<Asking>, Empty<Bytes>>);

/// Returns hyper's settings towards backends.
pub(super) fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(hop::HEADER_MAX).max_header_size(hop::HEADER_MAX).max_headers(hop::LINES_MAX);
    builder.title_case_headers(true).preserve_header_case(true);
    builder
}

pub(super) async fn connect(stream: Duplex) -> Result<Connection, OpenError> {
    builder().handshake(TokioIo::new(Asking::new(stream))).await.map_err(handle_error)
}

/// Requests a WebSocket from the backend behind `stream`.
pub(super) async fn perform(
    stream: Duplex,
    target: &Target,
    request: OpenRequest,
    terms: &Terms,
) -> Result<Accepted, OpenError> {
    let key = fresh_key()?;
    let (mut sender, connection) = connect(stream).await?;
    let work = async move {
        let mut request = build_request(target, request, terms.host, terms.query)?;
        let headers = request.headers_mut();
        // Of extensions, only our own offer counts on this hop, not the client's.
        headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        if terms.deflate.is_some() {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(Agreed::OFFER));
        }
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, key.clone());
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().cloned().collect::<Vec<_>>();
        let mut response = sender.send_request(request).await.map_err(handle_error)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(judge(response).await);
        }
        check(response.headers(), &key).map_err(|fault| OpenError::Protocol(fault.to_owned()))?;
        let deflate = chosen_deflate(response.headers(), terms.deflate)?;
        let subprotocol = chosen_subprotocol(response.headers(), &offered)?;
        let upgraded = hyper::upgrade::on(&mut response).await.map_err(handle_error)?;
        let (mut stream, mut read_ahead) = Duplex::from_upgraded(upgraded).map_err(OpenError::Down)?;
        if terms.first == First::Server {
            match greeting(&mut stream, read_ahead).await {
                Greeting::Frame(bytes) => read_ahead = bytes,
                Greeting::Refusal(refused) => return Err(OpenError::Refused(Box::new(refused))),
            }
        }
        let mut socket = stream.into_web_socket(read_ahead, Role::Client, terms.message_max, terms.buffers);
        if let Some(deflate) = deflate {
            socket = socket.compressed(deflate, None);
        }
        let mut headers = std::mem::take(response.headers_mut());
        kept_headers::keep_for_client(&mut headers);
        Ok(Accepted { socket: Socket::new(socket), headers, subprotocol })
    };
    alongside(connection.with_upgrades(), work).await
}

/// Drives hyper's connection while `work` waits for its input.
pub(super) async fn alongside<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        output = &mut work => output,
        // A failure reaches the request by itself.
        _ = connection => work.await,
    }
}

fn build_request(
    target: &Target,
    request: OpenRequest,
    host: Host,
    query: &str,
) -> Result<Request<Empty<Bytes>>, OpenError> {
    let uri = target.uri_for(&request, query)?;
    let mut head = Request::new(Empty::new());
    *head.uri_mut() = uri;
    request.spelling.apply(head.extensions_mut());
    let headers = head.headers_mut();
    *headers = request.headers;
    if host == Host::Upstream || !headers.contains_key(HOST) {
        headers.insert(HOST, target.authority().clone());
    }
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    Ok(head)
}

/// Checks whether a 101 accepts the request (RFC 6455, section 4.1, the numbered list at its end).
fn check(headers: &HeaderMap, key: &HeaderValue) -> Result<(), &'static str> {
    if !hop::names(headers, &UPGRADE, "websocket") {
        return Err("its 101 does not upgrade to websocket");
    }
    if !hop::names(headers, &CONNECTION, "upgrade") {
        return Err("its 101 has no `Connection: Upgrade`");
    }
    let accept = derive_accept_key(key.as_bytes());
    if headers.get(SEC_WEBSOCKET_ACCEPT).is_none_or(|value| value.as_bytes() != accept.as_bytes()) {
        return Err("its 101 has a wrong Sec-WebSocket-Accept");
    }
    Ok(())
}

/// Returns how messages are compressed, if both sides want it.
fn chosen_deflate(headers: &HeaderMap, threshold: Option<usize>) -> Result<Option<Deflate>, OpenError> {
    let agreed = match threshold {
        None if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) => {
            Err("its 101 has an extension that was not offered")
        }
        None => Ok(None),
        Some(_) => Agreed::of_response(headers),
    };
    let agreed = agreed.map_err(|fault| OpenError::Protocol(fault.to_owned()))?;
    Ok(threshold.zip(agreed).map(|(threshold, agreed)| Deflate { threshold, agreed }))
}

fn chosen_subprotocol(
    headers: &HeaderMap,
    offered: &[HeaderValue],
) -> Result<Option<HeaderValue>, OpenError> {
    let mut chosen = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let Some(first) = chosen.next() else { return Ok(None) };
    let was_offered = offered.iter().any(|offer| hop::tokens(offer).any(|token| token == first.as_bytes()));
    if was_offered && chosen.next().is_none() {
        Ok(Some(first.clone()))
    } else {
        Err(OpenError::Protocol("it chose a subprotocol that was not offered".to_owned()))
    }
}

/// Returns the error for a response other than 101. A status that is no refusal either is judged by its header: its
/// body may never end.
async fn judge(response: Response<Incoming>) -> OpenError {
    let status = response.status().as_u16();
    if Refused::STATUSES.contains(&status) {
        OpenError::Refused(Box::new(Refused { reply: read_reply(response).await, by: Refuser::Other }))
    } else {
        OpenError::Protocol(format!("it answered a WebSocket handshake with status {status}"))
    }
}

/// Reads a response, with as much of its body as is passed on.
pub(super) async fn read_reply(response: Response<Incoming>) -> Reply {
    let (mut head, mut incoming) = response.into_parts();
    let (is_coded, mut body) = (hop::is_coded(&head.headers), Vec::new());
    // An incomplete or stalled body is passed on as far as it came: the status matters most.
    let read = async {
        // A coded body cannot be passed on: the coding is hop-by-hop.
        while !is_coded && let Some(Ok(frame)) = incoming.frame().await {
            if let Ok(data) = frame.into_data() {
                let room = REFUSAL_LEN_MAX - body.len();
                body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() >= room {
                    break;
                }
            }
        }
    };
    let _ = timeout(REFUSAL_TIMEOUT, read).await;
    kept_headers::keep_of_refusal(&mut head.headers);
    Reply { status: head.status, headers: head.headers, body: body.into() }
}

/// Returns 16 random bytes, which prove that a response belongs to this request.
fn fresh_key() -> Result<HeaderValue, OpenError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(OpenError::NoRandomness)?;
    HeaderValue::try_from(STANDARD.encode(random)).map_err(|error| OpenError::Down(io::Error::other(error)))
}

/// Distinguishes a broken connection from a response that is not HTTP.
pub(super) fn handle_error(error: hyper::Error) -> OpenError {
    if let Some(Stalled(limit)) = Stalled::among(&error) {
        return OpenError::Slow(limit);
    }
    if let Some(fault) = TooManyInterim::among(&error) {
        return OpenError::Protocol(fault.to_string());
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(this) = cause {
        if let Some(broken) = this.downcast_ref::<io::Error>() {
            // In TLS 1.3, a server judges the client only after the handshake.
            if let Some(alert) = broken.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
                return OpenError::Protocol(format!("TLS with it failed: {alert}"));
            }
            return OpenError::Down(io::Error::new(broken.kind(), error));
        }
        cause = this.source();
    }
    if error.is_parse_too_large() {
        return OpenError::HeaderTooLarge;
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return OpenError::Down(io::Error::new(io::ErrorKind::UnexpectedEof, error));
    }
    OpenError::Protocol(format!("its answer is not HTTP: {error}"))
}

/// How much of a refusal's body is passed to a client.
const REFUSAL_LEN_MAX: usize = 64 << 10;
/// How long the body may take after the header. Servers send both at once.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
