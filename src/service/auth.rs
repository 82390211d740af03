//! Forward authentication: a server of the operator's says who may come, before anything reaches the backend.
//!
//! It is asked once for each session, at its handshake, and once for each request that is forwarded. A 2xx lets the client
//! in, any other response is the client's. Without a response nobody comes in.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::Client;
use super::granted::{self, Granted};
use super::onward::{self, Onward};
use super::refusals::{Reason, Refusals};
use super::replies::retry_after;
use super::settings::{AuthSettings, HeaderRules};
use super::via::Via;
use crate::address::TrustedProxy;
use crate::budget::Budget;
use crate::chain::Chain;
use crate::client_body::ClientBody;
use crate::meter::{AuthOutcome, Meter, Outcome};
use crate::reply::Reply;
use crate::spelling::Spelling;
use crate::upstream::{BodyLimits, ForwardError, ForwardRequest, InUse, Pinned, is_login};

/// Asks the server of one route.
#[derive(Debug)]
pub struct Auth {
    /// The server.
    pub server: Arc<InUse>,
    /// What of its acceptance reaches the backend, and how long it may take.
    pub settings: AuthSettings,
    /// The route's counters.
    pub meter: Meter,
    /// The log lines of the route's refusals.
    pub refusals: Arc<Refusals>,
}

/// The future of [`Auth::ask`].
pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Result<Granted, Box<Denied>>> + Send + 'a>>;

/// A question about one request.
#[derive(Debug)]
pub(super) struct Question(ForwardRequest);

/// The response to a client that may not come in.
#[derive(Debug)]
pub(super) struct Denied {
    /// What to count, if a session was to begin.
    pub(super) outcome: Outcome,
    pub(super) reply: Reply,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error(transparent)]
    Unreached(#[from] ForwardError),
    #[error("it did not answer in time")]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error("its response is larger than {BODY_MAX} bytes")]
    TooLarge,
    #[error("its response is incomplete")]
    Incomplete(#[source] io::Error),
}

impl Question {
    /// Asks about a request for this target, whose header says who its client is. What else might say what is asked for is
    /// left out, by whatever way it came.
    pub(super) fn new(method: &Method, target: &str, mut headers: HeaderMap) -> Self {
        granted::replace(&mut headers, &TARGETS, None);
        for (name, value) in [(X_FORWARDED_METHOD, method.as_str()), (X_FORWARDED_URI, target)] {
            // A request's target has no byte that a header can't have.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name, value);
            }
        }
        Self::with_body(Method::GET, headers, Bytes::new())
    }

    /// Asks with this header and this body.
    pub(super) fn with_body(method: Method, mut headers: HeaderMap, body: Bytes) -> Self {
        if !body.is_empty() {
            // Otherwise it would be sent in chunks.
            headers.insert(CONTENT_LENGTH, body.len().into());
        }
        Self(ForwardRequest {
            method,
            uri: Uri::from_static(ROOT),
            prefix: Some(ROOT.to_owned()),
            is_login: is_login(&headers),
            headers,
            client: None,
            spelling: Spelling::default(),
            body: ClientBody::from(body),
            // It is short.
            charge: Budget::default().charge(),
            body_limits: BodyLimits::default(),
            stall_timeout: STALL_TIMEOUT,
            pinned: Pinned::default(),
        })
    }
}

impl Auth {
    /// Asks whether a client may come in with its request, and keeps what is known of it there.
    ///
    /// # Errors
    /// It may not.
    pub(super) async fn admit(
        &self,
        head: &mut Parts,
        client: &Client,
        trusted: &[TrustedProxy],
        via: Option<&Via>,
    ) -> Result<(), Box<Denied>> {
        // The route's own headers are for its backend.
        let rules = HeaderRules::default();
        let onward = Onward { client, trusted, via, identity: &self.settings.headers, rules: &rules };
        let target = head.uri.path_and_query().map_or(ROOT, PathAndQuery::as_str);
        let question = Question::new(&head.method, target, onward::for_auth(head, &onward));
        head.extensions.insert(self.ask(question).await?);
        Ok(())
    }

    /// Asks the server.
    ///
    /// # Errors
    /// The client may not come in.
    pub(super) fn ask(&self, question: Question) -> Asking<'_> {
        // Apart from the caller's future: it is large, and most routes ask nobody.
        Box::pin(self.judge(question))
    }

    async fn judge(&self, question: Question) -> Result<Granted, Box<Denied>> {
        let asked = match tokio::time::timeout(self.settings.timeout, answer(&self.server, question)).await {
            Ok(asked) => asked,
            Err(elapsed) => Err(elapsed.into()),
        };
        match asked {
            Ok(reply) if reply.status.is_success() => {
                self.meter.authorized(AuthOutcome::Granted);
                Ok(Granted::of(&self.settings.headers, &reply.headers))
            }
            Ok(reply) => {
                self.meter.authorized(AuthOutcome::Refused);
                Err(Box::new(Denied { outcome: Outcome::Unauthorized, reply }))
            }
            Err(error) => {
                self.meter.authorized(AuthOutcome::Failed);
                let shown: &dyn Display = &Chain(&error);
                self.refusals.note_with(Reason::Auth, Some(shown));
                Err(Box::new(Denied { outcome: Outcome::AuthFailed, reply: unavailable() }))
            }
        }
    }
}

/// Returns a server's response, with all of its body.
pub(super) async fn answer(server: &InUse, Question(request): Question) -> Result<Reply, NoAnswer> {
    let (mut head, body) = server.forwarder().ask(request).await?.response.into_parts();
    let body = match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(NoAnswer::TooLarge),
        Err(error) => return Err(NoAnswer::Incomplete(io::Error::other(error))),
    };
    onward::for_client(&mut head);
    // It is that of the body, and of a coding that is gone.
    head.headers.remove(CONTENT_LENGTH);
    Ok(Reply { status: head.status, headers: head.headers, body })
}

/// Returns the response while nobody can say whether the client may come in.
pub(super) fn unavailable() -> Reply {
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")), (RETRY_AFTER, retry_after())];
    Reply {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers: headers.into_iter().collect(),
        body: Bytes::from_static(b"authorization is not available\n"),
    }
}

/// The server's URL is what is asked for, whatever the client asks for.
const ROOT: &str = "/";
/// What servers are known to read the target or the method of the asked request from, besides its own names.
const TARGETS: [HeaderName; 6] = [
    X_FORWARDED_METHOD,
    X_FORWARDED_URI,
    HeaderName::from_static("x-original-method"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
/// More than a page to log in at needs.
const BODY_MAX: usize = 256 << 10;
/// The timeout of the whole question is shorter, or the operator's own choice.
const STALL_TIMEOUT: Duration = Duration::from_hours(1);
