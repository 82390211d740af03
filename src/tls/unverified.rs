//! A client that accepts any certificate and notes what is wrong with it: for an examination, never for a backend.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::client::roots;
use super::failure::explain;
use super::{ALPN, TlsError, Trust, provider};

/// Verifies each certificate, notes what came of it, and accepts it. A server must still prove that the certificate is its own.
#[derive(Debug)]
pub struct Unverified {
    strict: Arc<WebPkiServerVerifier>,
    found: Mutex<Option<Result<(), &'static str>>>,
}

impl Unverified {
    /// Returns what is wrong with the last certificate, in an operator's words; `None` before there was one.
    pub fn found(&self) -> Option<Result<(), &'static str>> {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns settings that accept any certificate, and what notes whether these authorities would have had it refused.
///
/// # Errors
/// Each variant names the file at fault.
pub fn unverified_config(trust: &Trust) -> Result<(Arc<ClientConfig>, Arc<Unverified>), TlsError> {
    let strict = WebPkiServerVerifier::builder_with_provider(roots(trust)?, provider())
        .build()
        .map_err(|error| TlsError::Provider(Error::General(error.to_string())))?;
    let unverified = Arc::new(Unverified { strict, found: Mutex::default() });
    let verifier: Arc<dyn ServerCertVerifier> = unverified.clone();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok((Arc::new(config), unverified))
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = self.strict.verify_server_cert(leaf, rest, name, ocsp, now);
        let found = found.map(|_| ()).map_err(|error| explain(&error));
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{Files, self_signed};
    use super::*;

    #[test]
    fn any_certificate_is_accepted_and_what_is_wrong_with_it_is_known() {
        let own = self_signed();
        let files = Files::new();
        let trusted = Trust::File(files.write("ca.pem", &own.cert.pem()));
        for (trust, name, found) in [
            (&Trust::WebPki, "localhost", Err("its certificate was not issued by a trusted authority")),
            (&trusted, "localhost", Ok(())),
            (&trusted, "elsewhere.example", Err("its certificate has another name")),
        ] {
            let (_, unverified) = unverified_config(trust).unwrap();
            assert_eq!(unverified.found(), None);
            let name = ServerName::try_from(name).unwrap();
            let now = UnixTime::since_unix_epoch(Duration::from_hours(500_000));
            unverified.verify_server_cert(own.cert.der(), &[], &name, &[], now).unwrap();
            assert_eq!(unverified.found(), Some(found));
        }
    }
}
