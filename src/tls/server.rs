//! The TLS of listeners, whose certificates can be replaced while connections live.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CommonState, ServerConfig};

use super::certificates::Certificates;
use super::ordered::{self, Acme, Ordered};
use super::{ALPN, ALPN_HTTP2, Identity, TlsError, authorities, leaf, provider, read};
use crate::throttle::Throttle;

/// The files of a listener's TLS (`[server.tls]`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// Certificates with their keys. Clients get the one with the name that they ask for, or the first.
    pub certificates: Vec<Identity>,
    /// Further certificates, which are ordered.
    pub acme: Option<Acme>,
    /// A PEM file of authorities, one of which must have signed each client's certificate.
    pub client_ca: Option<PathBuf>,
    /// Whether clients may come without one.
    pub client_auth: ClientAuth,
}

/// Which clients are served, if there are authorities for their certificates.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ClientAuth {
    /// Those with a certificate of these authorities.
    #[default]
    Required,
    /// Also those without a certificate; one of another authority is refused.
    Optional,
}

/// The TLS of listeners.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    /// The authorities of client certificates, as they were read, and whether clients need one.
    clients: Option<(Vec<u8>, ClientAuth)>,
}

/// What follows a listener's TLS.
#[derive(Debug)]
pub struct NextTls {
    tls: ServerTls,
    certificates: Arc<Certificates>,
    asks_other_clients: bool,
}

/// The certificates that new connections are shown.
#[derive(Debug)]
struct Shown {
    certificates: ArcSwap<Certificates>,
    refused: Throttle,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = self.certificates.load().find(hello.server_name());
        if found.is_none()
            && let Some(count) = self.refused.count()
        {
            tracing::warn!(count, "TLS clients are refused: no certificate has been issued yet");
        }
        found
    }
}

impl ServerTls {
    /// Reads a listener's files.
    ///
    /// # Errors
    /// Each variant names the file at fault.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::read(&files.certificates, files.acme.as_ref(), &[])?);
        Self::showing(certificates, clients(files)?)
    }

    /// Reads the files again, for what follows this. Sessions of TLS can be resumed beyond that, unless other clients are
    /// accepted: one that resumes its session is not asked for its certificate.
    ///
    /// # Errors
    /// Each variant names the file at fault.
    pub fn next(&self, files: &TlsFiles) -> Result<NextTls, TlsError> {
        let before = self.ordered();
        let certificates = Certificates::read(&files.certificates, files.acme.as_ref(), &before)?;
        let certificates = Arc::new(certificates);
        let clients = clients(files)?;
        let is_same = self.clients == clients.as_ref().map(|clients| (clients.bytes.clone(), clients.auth));
        let tls = if is_same { self.clone() } else { Self::showing(Arc::clone(&certificates), clients)? };
        Ok(NextTls { tls, certificates, asks_other_clients: !is_same })
    }

    /// Returns what connections are accepted with.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Returns what a connection is accepted with that begins with this: an ACME server is not asked for a certificate, and
    /// meets nothing but its challenge.
    pub fn config_for(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let challenge = ordered::challenge(hello, self.shown.certificates.load().ordered());
        challenge.unwrap_or_else(|| Arc::clone(self.config()))
    }

    /// Returns its certificates that are ordered.
    pub fn ordered(&self) -> Vec<Arc<Ordered>> {
        self.shown.certificates.load().ordered().to_vec()
    }

    /// Returns the same TLS that offers HTTP/2 before what else it offers, or does not offer it.
    #[must_use]
    pub fn offering_http2(mut self, offers: bool) -> Self {
        if (self.config.alpn_protocols.first().is_some_and(|first| first == ALPN_HTTP2)) != offers {
            // The copy shares certificates and sessions.
            let protocols = &mut Arc::make_mut(&mut self.config).alpn_protocols;
            protocols.retain(|protocol| protocol != ALPN_HTTP2);
            if offers {
                protocols.insert(0, ALPN_HTTP2.to_vec());
            }
        }
        self
    }

    fn showing(certificates: Arc<Certificates>, clients: Option<Clients<'_>>) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(Clients { path, bytes, auth }) => {
                let roots = authorities(path, bytes)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = match auth {
                    ClientAuth::Required => verifier,
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(
                    verifier
                        .build()
                        .map_err(|source| TlsError::ClientAuthority { path: (*path).into(), source })?,
                )
            }
        };
        let certificates = ArcSwap::new(certificates);
        let shown = Arc::new(Shown { certificates, refused: Throttle::default() });
        let mut config = builder.with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols();
        // A ticket holds the session itself, so any number of clients can come back. Those of TLS 1.2 that take no ticket
        // have an id instead, in rustls' own store.
        config.ticketer = Ticketer::new().map_err(TlsError::Provider)?;
        Ok(Self {
            config: Arc::new(config),
            shown,
            clients: clients.map(|Clients { bytes, auth, .. }| (bytes, auth)),
        })
    }
}

impl NextTls {
    /// Returns whether other client certificates are accepted than before.
    pub const fn asks_other_clients(&self) -> bool {
        self.asks_other_clients
    }

    /// Returns the TLS that is in force from now on. Connections that are open keep the certificates that they were shown.
    pub fn take_over(self) -> ServerTls {
        self.tls.shown.certificates.store(self.certificates);
        self.tls
    }
}

/// The authorities of client certificates.
struct Clients<'f> {
    path: &'f Path,
    bytes: Vec<u8>,
    auth: ClientAuth,
}

/// Reads the authorities of client certificates.
fn clients(files: &TlsFiles) -> Result<Option<Clients<'_>>, TlsError> {
    let read = |path| Ok(Clients { path, bytes: read(path)?, auth: files.client_auth });
    files.client_ca.as_deref().map(read).transpose()
}

/// Returns whose the verified certificate of a client is, as a header has it; `None` without one, or if it does not say so.
pub fn client_subject(agreed: &CommonState) -> Option<HeaderValue> {
    let certificate = agreed.peer_certificates()?.first()?;
    HeaderValue::try_from(leaf::subject(certificate)?).ok()
}

/// Returns the protocols that are spoken inside TLS, the preferred one first.
fn protocols() -> Vec<Vec<u8>> {
    vec![ALPN.to_vec()]
}
