//! One order: proves to the ACME server that a domain leads here (TLS-ALPN-01, RFC 8737), and gets the certificate.

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use std::time::Duration;

use super::client::Client;
use super::schedule::Failure;
use super::storage::{Challenge, Storage, StorageError};
use crate::tls::{Issued, TlsError, Trust, client_config};

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the authorities for the ACME server cannot be used")]
    Authority(#[source] TlsError),
    #[error("the ACME server could not be asked")]
    Unreached(#[source] Error),
    #[error("the ACME server refuses: {0}")]
    Refused(String),
    #[error("the ACME server does not offer TLS-ALPN-01")]
    Offer,
    #[error("the issued certificate cannot be used")]
    Useless(#[source] TlsError),
    #[error("no key or request could be made")]
    Key(#[from] rcgen::Error),
    #[error("it took longer than {} seconds", ORDER_TIMEOUT.as_secs())]
    TooLong,
}

impl OrderError {
    /// Returns whose fault it is.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Refused(_) | Self::Offer | Self::Useless(_) | Self::TooLong => Failure::Refused,
            Self::Storage(_) | Self::Authority(_) | Self::Unreached(_) | Self::Key(_) => Failure::Unreached,
        }
    }
}

impl From<Error> for OrderError {
    fn from(error: Error) -> Self {
        // One of these says nothing of the order (RFC 8555, section 6.5), and was tried again already.
        if let Error::Api(problem) = &error
            && problem.r#type.as_deref() != Some(BAD_NONCE)
        {
            return Self::Refused(told(problem));
        }
        Self::Unreached(error)
    }
}

/// A failed order, and how long the server wants to be left alone.
pub(super) type Failed = (OrderError, Option<Duration>);

/// Orders a certificate, and keeps it.
pub(super) async fn order(storage: &Storage, domain: &str) -> Result<Issued, Failed> {
    let trust = storage.account.ca.clone().map_or(Trust::Public, Trust::File);
    let tls = client_config(&trust, None).map_err(|error| (OrderError::Authority(error), None))?;
    let client = Client::new(tls);
    let ordered = tokio::time::timeout(ORDER_TIMEOUT, order_by(&client, storage, domain)).await;
    ordered.unwrap_or(Err(OrderError::TooLong)).map_err(|error| (error, client.patience()))
}

async fn order_by(client: &Client, storage: &Storage, domain: &str) -> Result<Issued, OrderError> {
    let identifiers = [Identifier::Dns(domain.to_owned())];
    let wanted = NewOrder::new(&identifiers);
    let known = match storage.credentials() {
        Some(credentials) => known(client, credentials, &wanted).await?,
        None => None,
    };
    let mut order = match known {
        Some(order) => order,
        None => begin(client, storage).await?.new_order(&wanted).await?,
    };
    let proof = prove(&mut order, storage, domain).await?;
    match order.poll_ready(&PACE).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) | Err(Error::Api(_)) => return Err(refusal(&mut order).await),
        Err(error) => return Err(error.into()),
    }
    drop(proof);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let chain = order.poll_certificate(&PACE).await?;
    let pem = format!("{}\n{}", chain.trim_end(), key.serialize_pem());
    storage.keep_certificate(domain, &pem)?.map_err(OrderError::Useless)
}

/// Orders by an account that is kept; `None` if the server does not know it any more.
async fn known(
    client: &Client,
    credentials: AccountCredentials,
    wanted: &NewOrder<'_>,
) -> Result<Option<Order>, OrderError> {
    let builder = Account::builder_with_http(Box::new(client.clone()));
    match builder.from_credentials(credentials).await?.new_order(wanted).await {
        Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(UNKNOWN) => Ok(None),
        order => Ok(Some(order?)),
    }
}

/// Begins an account, and keeps it.
async fn begin(client: &Client, storage: &Storage) -> Result<Account, OrderError> {
    let contact = storage.account.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_http(Box::new(client.clone()));
    let (account, credentials) = builder.create(&wanted, storage.account.directory.clone(), None).await?;
    storage.keep_credentials(&credentials)?;
    Ok(account)
}

/// Has listeners answer the server, and asks it to look. The answer is there until the returned value is dropped.
async fn prove(order: &mut Order, storage: &Storage, domain: &str) -> Result<Option<Challenge>, OrderError> {
    let (mut authorizations, mut proof) = (order.authorizations(), None);
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        // It may remember a proof of an earlier order.
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let mut challenge = authorization.challenge(ChallengeType::TlsAlpn01).ok_or(OrderError::Offer)?;
        let digest = challenge.key_authorization().digest();
        let mut params = CertificateParams::new([domain.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem() + &key.serialize_pem();
        proof = Some(storage.keep_challenge(domain, &pem)?);
        challenge.set_ready().await?;
    }
    Ok(proof)
}

/// Returns why an order is invalid: the challenge says it better than the order.
async fn refusal(order: &mut Order) -> OrderError {
    let mut reason = order.state().error.as_ref().map(told);
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { break };
        if let Some(error) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            reason = Some(told(error));
        }
    }
    OrderError::Refused(reason.unwrap_or_else(|| "the order is invalid".to_owned()))
}

/// Returns a problem as operators read it: its detail, and its type without what all types begin with.
fn told(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().map(|kind| kind.rsplit(':').next().unwrap_or(kind));
    let problems = problem.subproblems.iter().filter_map(|one| one.detail.clone());
    let details: Vec<_> = problem.detail.clone().into_iter().chain(problems).collect();
    match (details.join("; "), kind) {
        (details, Some(kind)) if !details.is_empty() => format!("{details} ({kind})"),
        (details, None) if !details.is_empty() => details,
        (_, kind) => kind.unwrap_or("it does not say why").to_owned(),
    }
}

/// An account that the server has forgotten, as test servers do.
const UNKNOWN: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
/// A request came with a number that the server does not know, or not any more.
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";
/// How often the server is asked how far it is.
const PACE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));
const ORDER_TIMEOUT: Duration = Duration::from_mins(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_that_the_server_does_not_know_is_no_refusal() {
        for (kind, failure) in [("badNonce", Failure::Unreached), ("rateLimited", Failure::Refused)] {
            let problem = format!("{{\"type\":\"urn:ietf:params:acme:error:{kind}\",\"detail\":\"no\"}}");
            let error = OrderError::from(Error::Api(serde_json::from_str(&problem).unwrap()));
            assert_eq!(error.failure(), failure, "{error}");
        }
    }
}
