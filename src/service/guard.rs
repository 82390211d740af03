//! Who may come in at a route: with a token, if it asks for one, and then if its auth server says so.

use std::sync::Arc;

use http::request::Parts;
use tokio::time::Instant;

use super::Client;
use super::auth::{Auth, Denied};
use super::jwt::Jwt;
use super::via::Via;
use crate::address::TrustedProxy;

/// What a client has to pass.
#[derive(Debug)]
pub struct Guard {
    /// Judges its token.
    pub jwt: Option<Arc<Jwt>>,
    /// Asks the auth server.
    pub auth: Option<Arc<Auth>>,
}

/// When what lets a client in expires, among the extensions of its request.
#[derive(Clone, Copy, Debug)]
struct Expiry(Instant);

impl Guard {
    /// Judges whether a client may come in with its request, and keeps what is known of it there.
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
        if let Some(jwt) = &self.jwt {
            let until = jwt.admit(jwt.settings.from.of(head)).await?;
            head.extensions.insert(Expiry(until));
        }
        match &self.auth {
            Some(auth) => auth.admit(head, client, trusted, via).await,
            None => Ok(()),
        }
    }
}

/// Returns when what let the client of a request in expires, if it does.
pub(super) fn expiry(head: &Parts) -> Option<Instant> {
    head.extensions.get::<Expiry>().map(|expiry| expiry.0)
}
