//! Tokens (JWT) at a route: whether the one of a request lets its client in, and until when.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::auth::{self, Denied};
use super::key_ring::KeyRing;
use super::refusals::{Reason, Refusals};
use super::settings::JwtSettings;
use crate::jwt::Invalid;
use crate::meter::{Meter, Outcome, TokenOutcome};
use crate::reply::Reply;

/// Judges the tokens of one route.
#[derive(Debug)]
pub struct Jwt {
    /// Where a token is, and what it must say.
    pub settings: JwtSettings,
    /// The keys of its issuer.
    pub keys: Arc<KeyRing>,
    /// The route's counters.
    pub meter: Meter,
    /// The log lines of the route's refusals.
    pub refusals: Arc<Refusals>,
}

impl Jwt {
    /// Judges a request's token; returns when what it permits expires.
    ///
    /// # Errors
    /// The client may not come in.
    pub(super) fn admit(
        &self,
        token: Result<Option<String>, Invalid>,
    ) -> Pin<Box<dyn Future<Output = Result<Instant, Box<Denied>>> + Send + '_>> {
        // Apart from the caller's future, as with the auth server.
        Box::pin(self.judge(token))
    }

    async fn judge(&self, token: Result<Option<String>, Invalid>) -> Result<Instant, Box<Denied>> {
        let token = token.map_err(|why| self.refuse(why))?;
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            self.meter.token(TokenOutcome::Missing);
            return Err(unauthorized("Bearer", "a token is required"));
        };
        let Some(known) = self.keys.known().await else {
            self.meter.token(TokenOutcome::NoKeys);
            self.refusals.note(Reason::NoKeys);
            return Err(Box::new(Denied { outcome: Outcome::AuthFailed, reply: auth::unavailable() }));
        };
        let rules = &self.settings.rules;
        let mut judged = known.keys.judge(&token, rules, now());
        if judged == Err(Invalid::UnknownKey)
            && let Some(newer) = self.keys.newer(&known).await
        {
            judged = newer.keys.judge(&token, rules, now());
        }
        match judged {
            Ok(left) => {
                self.meter.token(TokenOutcome::Valid);
                Ok(Instant::now() + left)
            }
            Err(why) => Err(self.refuse(why)),
        }
    }

    /// Counts and tells why a token lets nobody in; returns the response.
    fn refuse(&self, why: Invalid) -> Box<Denied> {
        let outcome = if why == Invalid::Expired { TokenOutcome::Expired } else { TokenOutcome::Invalid };
        self.meter.token(outcome);
        self.refusals.note_with(Reason::Jwt, Some(&why));
        let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{why}\"");
        unauthorized(&challenge, &why.to_string())
    }
}

/// Returns the response to a client without a token that lets it in (RFC 6750, section 3).
fn unauthorized(challenge: &str, why: &str) -> Box<Denied> {
    let mut headers = http::HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Ok(challenge) = HeaderValue::from_str(challenge) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    let reply = Reply { status: StatusCode::UNAUTHORIZED, headers, body: Bytes::from(format!("{why}\n")) };
    Box::new(Denied { outcome: Outcome::Unauthorized, reply })
}

/// Returns the time since the epoch by the system's clock, which tokens are written by.
fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
