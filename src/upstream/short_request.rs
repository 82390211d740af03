//! One short plain HTTP request, on a connection of its own.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Empty;

use crate::duplex::Duplex;
use crate::reply::Reply;
use crate::upstream::deadline::Deadline;
use crate::upstream::dial::Dialer;
use crate::upstream::handshake::{alongside, connect, handle_error, read_reply};
use crate::upstream::target::Target;
use crate::upstream::{Host, OpenError, OpenRequest};

/// A request and its parameters.
pub(super) struct ShortRequest {
    pub(super) request: OpenRequest,
    pub(super) method: Method,
    /// What the upstream adds to the query.
    pub(super) query: &'static str,
    /// The `Host` that the backend sees.
    pub(super) host: Host,
}

/// Sends the request to the first address that can be reached.
pub(super) async fn ask(
    dialer: &Arc<Dialer>,
    question: ShortRequest,
    deadline: Deadline,
) -> Result<Reply, OpenError> {
    let (key, client) = (dialer.key_of(&question.request), question.request.client);
    let reached = dialer.dial(key, Some(client), deadline).await?;
    let deadline = reached.deadline;
    let (stream, target) = reached.in_use();
    deadline.bound(put(stream, target, question)).await.flatten()
}

async fn put(stream: Duplex, target: &Target, question: ShortRequest) -> Result<Reply, OpenError> {
    let (mut sender, connection) = connect(stream).await?;
    let work = async move {
        let response = sender.send_request(build_request(target, question)?).await.map_err(handle_error)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(OpenError::Protocol("it changes to a protocol that nobody asked for".to_owned()));
        }
        Ok(read_reply(response).await)
    };
    alongside(connection, work).await
}

fn build_request(target: &Target, question: ShortRequest) -> Result<Request<Empty<Bytes>>, OpenError> {
    let ShortRequest { request, method, query, host } = question;
    let uri = target.uri_for(&request, query)?;
    let mut head = Request::new(Empty::new());
    *head.method_mut() = method;
    *head.uri_mut() = uri;
    request.spelling.apply(head.extensions_mut());
    let headers = head.headers_mut();
    *headers = request.headers;
    if host == Host::Upstream || !headers.contains_key(HOST) {
        headers.insert(HOST, target.authority().clone());
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(head)
}
