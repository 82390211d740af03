//! A certificate that is renewed again and again, by one authority.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use crate::support::place;

/// The authority, and the files of the certificate.
pub(crate) struct Renewed {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What clients trust.
    pub(crate) ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Renewed {
    /// Writes the first certificate.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of this test");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let [ca, certificate, key] = ["renewed-ca.pem", "renewed.pem", "renewed.key"].map(place);
        fs::write(&ca, issuer.pem()).unwrap();
        let this = Self { issuer, ca, certificate, key };
        this.renew(0);
        this
    }

    /// Replaces certificate and key by others, which expire that much later. Returns when, in seconds since 1970.
    pub(crate) fn renew(&self, seconds: u64) -> f64 {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let end = Duration::from_secs(FIRST_END + seconds);
        params.not_after = date_time_ymd(1970, 1, 1) + end;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(&self.certificate, certificate.pem()).unwrap();
        fs::write(&self.key, key.serialize_pem()).unwrap();
        end.as_secs_f64()
    }

    /// Returns the line of a listener that shows it.
    pub(crate) fn line(&self) -> String {
        format!("tls = {{ certificate = '{}', key = '{}' }}", self.certificate.display(), self.key.display())
    }
}

/// Far away.
const FIRST_END: u64 = 32_503_680_000;
