//! TLS settings: of the listeners, a certificate chain and its key; of the upstreams, the trusted authorities.
//!
//! PEM files are read here, sockets are not touched; [`ServerTls`] and [`client_config`] are the entry points. The
//! cryptography provider is named explicitly, so that a second provider among the dependencies can't change what is
//! negotiated.

mod certificates;
#[cfg_attr(not(fuzzing), cfg(test))]
mod checks;
mod client;
mod der;
mod expiry;
mod failure;
mod leaf;
mod ordered;
mod server;
mod shown_leaf;
mod subject;
mod unverified;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;

#[cfg_attr(not(fuzzing), cfg(test))]
pub(crate) use checks::check_certificate;
pub use client::{Trust, client_config};
pub use expiry::Expiry;
pub use failure::Failure;
pub use leaf::Validity;
pub use ordered::{ALPN_ACME, Acme, AcmeAccount, Issued, Ordered};
pub use server::{ClientAuth, NextTls, ServerTls, TlsFiles, client_subject};
pub use shown_leaf::client_of;
pub use unverified::{Unverified, unverified_config};

/// Two PEM files that prove an identity, relative to the working directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        Ok((read_chain(&self.certificate)?, read_key(&self.key)?))
    }

    fn rejected(&self, source: rustls::Error) -> TlsError {
        TlsError::Rejected { certificate: self.certificate.clone(), key: self.key.clone(), source }
    }
}

/// Why TLS can't be used with these settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or unreadable.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file is damaged.
    #[error("{} is not well-formed PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Malformed,
    },
    /// A PEM file without a certificate.
    #[error("{} contains no certificate (no section CERTIFICATE)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A PEM file without a key.
    #[error("{} contains no private key (no section PRIVATE KEY; an encrypted key cannot be used)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The files are well-formed, but don't work together.
    #[error("the certificate in {} cannot be used with the key in {}", certificate.display(), key.display())]
    Rejected {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// A name that stands in two certificates: nobody knows which one its clients get.
    #[error("{} names {name}, as {} does", path.display(), other.display())]
    SameName {
        /// The name.
        name: String,
        /// The later certificate's file.
        path: PathBuf,
        /// The earlier certificate's file.
        other: PathBuf,
    },
    /// A certificate that no client would ask for.
    #[error("{} names no host, so no client would get it; only the first certificate may", path.display())]
    Nameless {
        /// The certificate's file.
        path: PathBuf,
    },
    /// A name of a certificate is one that another is ordered for.
    #[error("{} names {name}, for which acme would order another certificate", path.display())]
    OrderedToo {
        /// The name.
        name: String,
        /// The certificate's file.
        path: PathBuf,
    },
    /// A certificate that was ordered is another one's.
    #[error("{} is no certificate for {name}", path.display())]
    OtherName {
        /// The certificate's file.
        path: PathBuf,
        /// The name that it was ordered for.
        name: String,
    },
    /// A certificate in a file can't be used as an authority.
    #[error("{} contains a certificate that is not an authority's", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// A file's authorities can't be used to verify clients.
    #[error("the authorities in {} cannot be used for clients", path.display())]
    ClientAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: VerifierBuilderError,
    },
    /// The system's authorities are required, but it has none.
    #[error("this system has no certificate authorities (roots = \"webpki\" needs none)")]
    NoSystemRoots {
        /// Why they could not be read, unless they are absent.
        source: Option<&'static rustls_native_certs::Error>,
    },
    /// The cryptography provider lacks something.
    #[error("no TLS version is usable")]
    Provider(#[source] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What is wrong with a PEM file, with its parts as text.
#[derive(Debug)]
pub struct Malformed(pem::Error);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The error shows bytes as a list of numbers.
        if let pem::Error::MissingSectionEnd { end_marker } = &self.0 {
            write!(f, "missing end of section {}", String::from_utf8_lossy(end_marker).escape_debug())
        } else if let pem::Error::IllegalSectionStart { line } = &self.0 {
            write!(f, "illegal start of a section: {:?}", String::from_utf8_lossy(line))
        } else {
            self.0.fmt(f)
        }
    }
}

impl std::error::Error for Malformed {}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(path, &read(path)?)
}

/// Returns the certificates in the bytes of a file.
fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem { path: path.into(), source: Malformed(error) })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.into() });
    }
    Ok(chain)
}

fn read_roots(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    authorities(path, &read(path)?)
}

/// Returns the authorities in the bytes of a file.
fn authorities(path: &Path, bytes: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, bytes)? {
        roots.add(certificate).map_err(|source| TlsError::Authority { path: path.into(), source })?;
    }
    Ok(Arc::new(roots))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    match PrivateKeyDer::pem_slice_iter(&read(path)?).next() {
        Some(Ok(key)) => Ok(key),
        Some(Err(error)) => Err(TlsError::Pem { path: path.into(), source: Malformed(error) }),
        None => Err(TlsError::NoKey { path: path.into() }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source })
}

/// The only protocol that is spoken inside TLS.
const ALPN: &[u8] = b"http/1.1";
/// What clients of HTTP/2 offer (RFC 9113, section 3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::chain::Chain;

    fn config(certificate: &Path, key: &Path) -> Result<ServerTls, TlsError> {
        let identity = Identity { certificate: certificate.into(), key: key.into() };
        ServerTls::read(&TlsFiles {
            certificates: vec![identity],
            acme: None,
            client_ca: None,
            client_auth: ClientAuth::Required,
        })
    }

    #[test]
    fn a_certificate_with_its_key_is_taken_and_offers_http_1_1() {
        let files = Files::new();
        let pair = self_signed();
        let config = config(
            &files.write("cert.pem", &pair.cert.pem()),
            &files.write("key.pem", &pair.signing_key.serialize_pem()),
        );
        assert_eq!(config.unwrap().config().alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn one_file_may_hold_both() {
        let files = Files::new();
        let pair = self_signed();
        let both = files.write("both.pem", &(pair.signing_key.serialize_pem() + &pair.cert.pem()));
        assert!(config(&both, &both).is_ok());
    }

    #[test]
    fn a_missing_file_is_named() {
        let files = Files::new();
        let key = files.write("key.pem", &self_signed().signing_key.serialize_pem());
        let error = config(&files.path("absent.pem"), &key).unwrap_err();
        assert!(matches!(error, TlsError::Read { .. }), "{error:?}");
        assert!(error.to_string().contains("absent.pem"), "{error}");
    }

    #[test]
    fn the_files_taken_for_each_other_are_named() {
        let files = Files::new();
        let pair = self_signed();
        let certificate = files.write("cert.pem", &pair.cert.pem());
        let key = files.write("key.pem", &pair.signing_key.serialize_pem());
        let error = config(&key, &key).unwrap_err();
        assert!(matches!(&error, TlsError::NoCertificate { path } if *path == key), "{error:?}");
        let error = config(&certificate, &certificate).unwrap_err();
        assert!(matches!(&error, TlsError::NoKey { path } if *path == certificate), "{error:?}");
    }

    #[test]
    fn a_damaged_file_is_named() {
        let files = Files::new();
        let pair = self_signed();
        let certificate =
            files.write("cert.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
        let key = files.write("key.pem", &pair.signing_key.serialize_pem());
        let error = config(&certificate, &key).unwrap_err();
        assert!(matches!(&error, TlsError::Pem { path, .. } if *path == certificate), "{error:?}");
    }

    #[test]
    fn a_half_written_file_is_told_in_words() {
        let (files, pem) = (Files::new(), self_signed().cert.pem());
        let half = files.write("half.pem", &pem[..pem.len() / 2]);
        let start = files.write("start.pem", &pem.replace("CERTIFICATE-----", "CERTIFICATE"));
        let told = |path| Chain(&config(path, path).unwrap_err()).to_string();
        assert_eq!(
            told(&half),
            format!("{} is not well-formed PEM: missing end of section CERTIFICATE", half.display())
        );
        let said = "is not well-formed PEM: illegal start of a section: \"-----BEGIN CERTIFICATE";
        assert!(told(&start).contains(said), "{}", told(&start));
    }

    #[test]
    fn the_key_of_another_certificate_is_refused() {
        let files = Files::new();
        let certificate = files.write("cert.pem", &self_signed().cert.pem());
        let key = files.write("key.pem", &self_signed().signing_key.serialize_pem());
        let error = config(&certificate, &key).unwrap_err();
        assert!(matches!(&error, TlsError::Rejected { .. }), "{error:?}");
        assert!(error.to_string().contains("cert.pem") && error.to_string().contains("key.pem"), "{error}");
    }

    pub(super) fn self_signed() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
    }

    /// A folder for one test, removed at its end.
    pub(super) struct Files(PathBuf);

    impl Files {
        pub(super) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = std::env::temp_dir().join(format!("polliwog-tls-{}-{count}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        pub(super) fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
            fs::write(self.path(name), text).unwrap();
            self.path(name)
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
