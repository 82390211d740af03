//! The TLS of a client that knows the very certificate of its server: a command that asks a process of its own host.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::{TlsError, TlsFiles, provider, read_chain};

/// Returns the TLS of a client of a listener with these files, which trusts their certificates alone, whatever their names
/// and their issuers.
///
/// # Errors
/// A file cannot be read.
pub fn client_of(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let mut leaves = Vec::new();
    for identity in &files.certificates {
        leaves.extend(read_chain(&identity.certificate)?.into_iter().next());
    }
    let algorithms = provider().signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?;
    let verifier = Arc::new(Shown { leaves, algorithms });
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Accepts a server that shows one of these certificates, and proves that it has its key.
#[derive(Debug)]
struct Shown {
    leaves: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_known = self.leaves.iter().any(|known| known == leaf);
        let other = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        if is_known { Ok(ServerCertVerified::assertion()) } else { Err(other) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
