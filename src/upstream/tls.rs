//! The TLS handshake with a backend, and the error of each way it can fail.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::duplex::Duplex;

/// The TLS settings of one place.
pub(super) struct Tls {
    connector: TlsConnector,
    /// The name that the certificate must carry; it is sent in the handshake too, unless it is an address.
    name: ServerName<'static>,
    /// The place, for error texts.
    place: String,
}

impl Tls {
    pub(super) fn new(config: &Arc<ClientConfig>, name: ServerName<'static>, place: String) -> Self {
        Self { connector: TlsConnector::from(Arc::clone(config)), name, place }
    }

    /// Runs the TLS handshake on a stream.
    pub(super) async fn handshake(&self, stream: TcpStream) -> io::Result<Duplex> {
        // Boxed, so that an opening does not keep the room that its handshake needed.
        match Box::pin(self.connector.connect(self.name.clone(), stream)).await {
            Ok(stream) => Ok(tokio_rustls::TlsStream::from(stream).into()),
            Err(source) => {
                let failure = Failure { place: self.place.clone(), what: explain(&source), source };
                Err(io::Error::new(failure.source.kind(), failure))
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}

/// A handshake that failed.
#[derive(Debug, thiserror::Error)]
#[error("TLS with {place} failed, {what}")]
struct Failure {
    place: String,
    what: &'static str,
    source: io::Error,
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
