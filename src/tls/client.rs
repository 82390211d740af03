//! TLS settings of an upstream: which authorities are trusted.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::load_native_certs;

use super::{ALPN, Identity, TlsError, provider, read_roots};

/// The authorities trusted for a backend's name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Trust {
    /// The system's authorities, or Mozilla's if it has none.
    #[default]
    Public,
    /// The system's authorities.
    System,
    /// Mozilla's authorities, as of the build of this binary.
    WebPki,
    /// Only the authorities in a PEM file.
    File(PathBuf),
}

/// Reads the trusted authorities, and the identity for backends that ask for one. One configuration serves all
/// connections to an upstream, so that TLS sessions are resumed.
///
/// Buffers keep rustls' sizes: an idle connection keeps 4 kB, and smaller records would need more of them.
///
/// # Errors
/// Each variant names the file at fault.
pub fn client_config(trust: &Trust, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots(trust)?);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.read()?;
            builder.with_client_auth_cert(chain, key).map_err(|source| identity.rejected(source))?
        }
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

pub(super) fn roots(trust: &Trust) -> Result<Arc<RootCertStore>, TlsError> {
    match trust {
        Trust::Public => system_roots().or_else(|_| {
            tracing::info!("this system has no certificate authorities; Mozilla's are used");
            Ok(mozilla_roots())
        }),
        Trust::System => system_roots(),
        Trust::WebPki => Ok(mozilla_roots()),
        Trust::File(path) => read_roots(path),
    }
}

fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    SYSTEM.as_ref().map(Arc::clone).map_err(|source| TlsError::NoSystemRoots { source: source.as_ref() })
}

fn mozilla_roots() -> Arc<RootCertStore> {
    Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// Read once and shared: some hundred files on most systems.
static SYSTEM: LazyLock<Result<Arc<RootCertStore>, Option<rustls_native_certs::Error>>> =
    LazyLock::new(|| {
        let found = load_native_certs();
        let mut roots = RootCertStore::empty();
        // Old stores hold authorities in forms that can no longer be verified: these are skipped.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() { Err(found.errors.into_iter().next()) } else { Ok(Arc::new(roots)) }
    });

#[cfg(test)]
mod tests {
    use super::super::tests::{Files, self_signed};
    use super::*;

    #[test]
    fn authorities_are_found_without_any_file() {
        assert!(!mozilla_roots().is_empty());
        assert!(!roots(&Trust::Public).unwrap().is_empty());
    }

    #[test]
    fn only_the_authorities_in_the_file_are_trusted() {
        let files = Files::new();
        let both = files.write("ca.pem", &(self_signed().cert.pem() + &self_signed().cert.pem()));
        assert_eq!(roots(&Trust::File(both)).unwrap().len(), 2);
    }

    #[test]
    fn http_1_1_is_offered() {
        assert_eq!(client_config(&Trust::WebPki, None).unwrap().alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn a_file_without_a_usable_certificate_is_named() {
        let files = Files::new();
        let error = |path: PathBuf| client_config(&Trust::File(path), None).unwrap_err();
        let absent = error(files.path("absent.pem"));
        assert!(matches!(&absent, TlsError::Read { .. }) && absent.to_string().contains("absent.pem"));
        let empty = error(files.write("empty.pem", ""));
        assert!(matches!(&empty, TlsError::NoCertificate { .. }) && empty.to_string().contains("empty.pem"));
        let key = error(files.write("key.pem", &self_signed().signing_key.serialize_pem()));
        assert!(matches!(&key, TlsError::NoCertificate { .. }), "{key}");
        let odd = files.write("odd.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let odd = error(odd);
        assert!(matches!(&odd, TlsError::Authority { .. }) && odd.to_string().contains("odd.pem"), "{odd}");
    }
}
