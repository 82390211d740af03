//! What a certificate that an operator or a client shows can do.

use rustls::pki_types::CertificateDer;

use super::leaf;

/// Reads a certificate, in PEM or DER, as those of files and of clients are read.
pub(crate) fn check_certificate(bytes: &[u8]) {
    let chain = super::certificates("fuzzed.pem".as_ref(), bytes);
    if let Err(error) = &chain {
        assert!(!error.to_string().is_empty());
    }
    let der = CertificateDer::from(bytes.to_vec());
    for leaf in chain.into_iter().flatten().chain([der]) {
        if let Ok(names) = leaf::names(&leaf) {
            assert!(names.iter().all(|name| !name.contains(char::is_uppercase)));
        }
        let _validity = leaf::validity(&leaf);
        if let Some(subject) = leaf::subject(&leaf) {
            assert!(subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "it can stand in a header");
        }
    }
}
