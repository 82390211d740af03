//! Certificates that are ordered by ACME (RFC 8555), as a listener shows them: each is a file that may not be there yet.
//!
//! Listeners only read these files. Who orders writes them, be it this process or another one with the same folder: so any
//! of them can answer the ACME server, whichever ordered.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::leaf::{self, Validity};
use super::{Identity, TlsError, provider};

/// Which certificates are ordered for a listener (`tls.acme`), one for each domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acme {
    /// The domains, in lower case.
    pub domains: Vec<String>,
    /// Who orders, and where.
    pub account: Arc<AcmeAccount>,
}

/// An account at an ACME server, and where what it gets is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcmeAccount {
    /// Where the server may write to.
    pub email: Option<String>,
    /// The URL of the server's directory.
    pub directory: String,
    /// The folder of all that is kept.
    pub storage: PathBuf,
    /// A PEM file of authorities for the server's own certificate; `None` is those of the system.
    pub ca: Option<PathBuf>,
}

impl Acme {
    /// Returns the files of the certificates, each of which may not be there yet.
    pub fn identities(&self) -> impl Iterator<Item = Identity> {
        self.domains.iter().map(|domain| {
            let file = self.account.certificate(domain);
            Identity { certificate: file.clone(), key: file }
        })
    }
}

impl AcmeAccount {
    /// Returns the folder of what this server issues: another one's certificates are others.
    pub fn folder(&self) -> PathBuf {
        let url = self.directory.split_once("://").map_or(&*self.directory, |(_, rest)| rest);
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        self.storage.join(url.chars().map(plain).collect::<String>().trim_matches(['.', '-']))
    }

    /// Returns the file of the certificate for a domain, with its chain and key.
    pub fn certificate(&self, domain: &str) -> PathBuf {
        self.folder().join(format!("{domain}.pem"))
    }

    /// Returns the file of the certificate by which the ACME server is answered while a domain's order is open.
    pub fn challenge(&self, domain: &str) -> PathBuf {
        self.folder().join(format!("{domain}.challenge.pem"))
    }
}

/// A certificate of a listener that is ordered.
#[derive(Debug)]
pub struct Ordered {
    /// The domain.
    pub domain: String,
    /// Who orders it.
    pub account: Arc<AcmeAccount>,
    shown: ArcSwapOption<CertifiedKey>,
}

impl Ordered {
    /// Begins with what is kept, or else with what was shown before. A file that cannot be used is the same as none: another
    /// certificate is ordered.
    pub(super) fn new(domain: &str, account: &Arc<AcmeAccount>, before: &[Arc<Self>]) -> Self {
        let file = account.certificate(domain);
        let issued = Issued::read(&file, domain).ok().flatten().map(|issued| issued.certified);
        let is_same = |one: &&Arc<Self>| one.account.certificate(&one.domain) == file;
        let shown = issued.or_else(|| before.iter().find(is_same)?.shown());
        Self { domain: domain.to_owned(), account: Arc::clone(account), shown: ArcSwapOption::new(shown) }
    }

    /// Shows new clients this certificate from now on. Returns whether it is another one than before.
    pub fn show(&self, issued: &Issued) -> bool {
        let before = self.shown.swap(Some(Arc::clone(&issued.certified)));
        before.is_none_or(|before| before.cert != issued.certified.cert)
    }

    /// Returns whether it was never issued, as far as this process knows.
    pub fn is_missing(&self) -> bool {
        self.shown.load().is_none()
    }

    pub(super) fn shown(&self) -> Option<Arc<CertifiedKey>> {
        self.shown.load_full()
    }
}

/// A certificate that was issued, with its chain and key.
#[derive(Clone, Debug)]
pub struct Issued {
    certified: Arc<CertifiedKey>,
    /// How long it is valid.
    pub validity: Validity,
}

impl Issued {
    /// Reads the file of a domain's certificate; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn read(file: &Path, domain: &str) -> Result<Option<Self>, TlsError> {
        let identity = Identity { certificate: file.into(), key: file.into() };
        let (chain, key) = match identity.read() {
            Err(TlsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            read => read?,
        };
        let rejected = |source| identity.rejected(source);
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(rejected)?;
        let leaf = certified.end_entity_cert().map_err(rejected)?;
        let names = leaf::names(leaf).map_err(rejected)?;
        let validity = leaf::validity(leaf).filter(|_| names.iter().any(|name| name == domain));
        let other = || TlsError::OtherName { path: file.into(), name: domain.to_owned() };
        let validity = validity.ok_or_else(other)?;
        Ok(Some(Self { certified: Arc::new(certified), validity }))
    }
}

/// Returns what answers an ACME server that looks who a domain leads to (RFC 8737), if that is what the client is and there
/// is such an order. It may be that of another process, whose domains are others.
pub(super) fn challenge(hello: &ClientHello<'_>, ordered: &[Arc<Ordered>]) -> Option<Arc<ServerConfig>> {
    let account = &ordered.first()?.account;
    if !hello.alpn()?.eq([ALPN_ACME]) {
        return None;
    }
    // A name of DNS, so it leads to no other folder.
    let file = account.challenge(&hello.server_name()?.to_ascii_lowercase());
    // A client that only pretends to be one costs little more than this.
    if !fs::exists(&file).is_ok_and(|exists| exists) {
        return None;
    }
    let (chain, key) = Identity { certificate: file.clone(), key: file }.read().ok()?;
    // The extension in it is critical, so rustls would not take it for a server's.
    let key = provider().key_provider.load_private_key(key).ok()?;
    let certified = CertifiedKey::new(chain, key);
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().ok()?;
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN_ACME.to_vec()];
    Some(Arc::new(config))
}

/// The protocol of an ACME server that looks who a domain leads to.
pub const ALPN_ACME: &[u8] = b"acme-tls/1";
