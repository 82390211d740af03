//! Each way in which a TLS handshake with a server can fail, in an operator's words.

use std::io;

use rustls::CertificateError;

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
        let failure = Self { place: place.to_owned(), what: explain(&source), source };
        io::Error::new(failure.source.kind(), failure)
    }
}

/// Returns what a failure means to an operator; the cause has the details.
#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, of which only some say more to an operator")]
fn explain(error: &io::Error) -> &'static str {
    use CertificateError as Certificate;
    use rustls::Error;

    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(Error::InvalidCertificate(fault)) => match fault {
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
        Some(Error::AlertReceived(_)) => "it refused the handshake",
        Some(Error::PeerIncompatible(_)) => "it speaks no version or cipher that is spoken here",
        Some(Error::InvalidMessage(_)) => "it does not speak TLS",
        Some(_) => "it broke the rules of the handshake",
        None => "it hung up during the handshake",
    }
}
