//! Each way in which a TLS handshake with a server can fail, in an operator's words.

use std::io;

use rustls::{CertificateError, Error};

/// A handshake that failed.
#[derive(Debug, thiserror::Error)]
#[error("TLS with {place} failed, {what}")]
pub struct Failure {
    place: String,
    what: &'static str,
    source: io::Error,
}

impl Failure {
    /// Returns the failed handshake with the server at a place, as an error of the same kind.
    pub fn at(place: &str, source: io::Error) -> io::Error {
        let cause = source.get_ref().and_then(|cause| cause.downcast_ref());
        let what = cause.map_or("it hung up during the handshake", explain);
        let failure = Self { place: place.to_owned(), what, source };
        io::Error::new(failure.source.kind(), failure)
    }
}

/// Returns what a failure means to an operator; the cause has the details.
#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, of which only some say more to an operator")]
pub(super) fn explain(error: &Error) -> &'static str {
    use CertificateError as Certificate;

    match error {
        Error::InvalidCertificate(fault) => match fault {
            Certificate::UnknownIssuer => "its certificate was not issued by a trusted authority",
            // For example after an authority was recreated under its old name.
            Certificate::BadSignature => "its certificate is not signed by the issuer that it names",
            Certificate::Expired | Certificate::ExpiredContext { .. } => "its certificate has expired",
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate has another name"
            }
            _ => "its certificate cannot be accepted",
        },
        Error::AlertReceived(_) => "it refused the handshake",
        Error::PeerIncompatible(_) => "it speaks no version or cipher that is spoken here",
        Error::InvalidMessage(_) => "it does not speak TLS",
        _ => "it broke the rules of the handshake",
    }
}
