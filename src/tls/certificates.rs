//! The certificates of a listener, found by the name that a client asks for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::ordered::{Acme, Ordered};
use super::{Identity, TlsError, leaf, provider};

/// The certificates of a listener. The first is for clients that ask for no name, or for one that is in none of them.
#[derive(Debug)]
pub(super) struct Certificates {
    first: Option<Arc<CertifiedKey>>,
    /// By the names in them; that of a wildcard begins with its dot, as `.example.org`.
    named: HashMap<String, Arc<CertifiedKey>>,
    /// Those that are ordered, which come after the others.
    ordered: Vec<Arc<Ordered>>,
}

impl Certificates {
    /// Reads certificates and their keys. Those that are ordered may not be there yet; what was shown of them `before` still
    /// serves.
    pub(super) fn read(
        identities: &[Identity],
        acme: Option<&Acme>,
        before: &[Arc<Ordered>],
    ) -> Result<Self, TlsError> {
        let mut certificates = Self { first: None, named: HashMap::new(), ordered: Vec::new() };
        let mut files: HashMap<String, &Path> = HashMap::new();
        for identity in identities {
            let certified = certified(identity)?;
            let path = &*identity.certificate;
            let names = certified.end_entity_cert().and_then(|leaf| leaf::names(leaf));
            let names = names.map_err(|source| identity.rejected(source))?;
            if names.is_empty() && certificates.first.is_some() {
                return Err(TlsError::Nameless { path: path.into() });
            }
            for name in names {
                if let Some(other) = files.get(&name) {
                    return Err(TlsError::SameName { name, path: path.into(), other: other.to_path_buf() });
                }
                let key = name.strip_prefix('*').unwrap_or(&name).to_owned();
                certificates.named.insert(key, Arc::clone(&certified));
                files.insert(name, path);
            }
            certificates.first.get_or_insert(certified);
        }
        for (domain, account) in
            acme.iter().flat_map(|acme| acme.domains.iter().map(|one| (one, &acme.account)))
        {
            if let Some(path) = files.get(domain) {
                return Err(TlsError::OrderedToo { name: domain.clone(), path: path.to_path_buf() });
            }
            certificates.ordered.push(Arc::new(Ordered::new(domain, account, before)));
        }
        Ok(certificates)
    }

    /// Returns those that are ordered.
    pub(super) fn ordered(&self) -> &[Arc<Ordered>] {
        &self.ordered
    }

    /// Returns the certificate for clients that ask for a name, in lower case. A wildcard stands for one label.
    pub(super) fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let exact = |name: &str| self.named.get(name).cloned();
        let ordered = |name: &str| self.ordered.iter().find(|one| one.domain == name)?.shown();
        let parent = |name: &str| name.find('.').and_then(|dot| self.named.get(&name[dot..])).cloned();
        name.and_then(|name| exact(name).or_else(|| ordered(name)).or_else(|| parent(name)))
            .or_else(|| self.first.clone())
            .or_else(|| self.ordered.iter().find_map(|one| one.shown()))
    }
}

/// Reads a certificate and its key, which must belong together.
fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, TlsError> {
    let (chain, key) = identity.read()?;
    let certified = CertifiedKey::from_der(chain, key, &provider());
    Ok(Arc::new(certified.map_err(|source| identity.rejected(source))?))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Files;
    use super::super::{AcmeAccount, Issued};
    use super::*;

    /// Returns files with a certificate for these names.
    fn identity(files: &Files, names: &[&str]) -> Identity {
        let name = names.concat().replace('*', "all");
        let pair =
            rcgen::generate_simple_self_signed(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let pair = pair.unwrap();
        Identity {
            certificate: files.write(&format!("{name}.pem"), &pair.cert.pem()),
            key: files.write(&format!("{name}.key"), &pair.signing_key.serialize_pem()),
        }
    }

    #[test]
    fn the_name_that_a_client_asks_for_decides() {
        let files = Files::new();
        let lists: [&[&str]; 4] = [
            &["first.test", "10.0.0.1"],
            &["*.Example.test"],
            &["WWW.example.test", "second.test"],
            &["xn--mnchen-3ya.test"],
        ];
        let all: Vec<_> = lists.iter().map(|names| identity(&files, names)).collect();
        let certificates = Certificates::read(&all, None, &[]).unwrap();
        for (name, index) in [
            (None, 0),
            (Some("first.test"), 0),
            (Some("unknown.test"), 0),
            (Some("test"), 0),
            (Some("api.example.test"), 1),
            // A wildcard stands for one label, and not for none.
            (Some("a.api.example.test"), 0),
            (Some("example.test"), 0),
            // The exact name goes first, wherever it stands.
            (Some("www.example.test"), 2),
            (Some("second.test"), 2),
            (Some("xn--mnchen-3ya.test"), 3),
        ] {
            let found = certificates.find(name).unwrap();
            let expected = all[index].read().unwrap().0;
            assert_eq!(found.cert, expected, "{name:?}");
        }
        assert!(Certificates::read(&[], None, &[]).unwrap().find(None).is_none());
    }

    #[test]
    fn a_name_in_two_certificates_is_a_fault_that_names_both_files() {
        let files = Files::new();
        for (one, other, name) in [
            (["a.test", "b.test"], ["c.test", "B.test"], "b.test"),
            (["*.a.test", "b.test"], ["c.test", "*.a.test"], "*.a.test"),
        ] {
            let all = [identity(&files, &one), identity(&files, &other)];
            let error = Certificates::read(&all, None, &[]).unwrap_err();
            assert!(matches!(&error, TlsError::SameName { .. }), "{error:?}");
            let [one, other] = all.map(|identity| identity.certificate.display().to_string());
            assert_eq!(error.to_string(), format!("{other} names {name}, as {one} does"));
        }
        // One certificate may say its own name again.
        let again = identity(&files, &["d.test", "D.test"]);
        assert!(Certificates::read(&[again], None, &[]).is_ok());
    }

    #[test]
    fn only_the_first_certificate_may_name_no_host() {
        let files = Files::new();
        let (nameless, named) = (identity(&files, &["10.0.0.1"]), identity(&files, &["a.test"]));
        assert!(Certificates::read(&[nameless.clone(), named.clone()], None, &[]).is_ok());
        let error = Certificates::read(&[named, nameless], None, &[]).unwrap_err();
        assert!(error.to_string().contains("10.0.0.1.pem names no host"), "{error}");
    }

    #[test]
    fn a_certificate_that_is_ordered_is_shown_from_the_moment_it_is_there() {
        let files = Files::new();
        let account = Arc::new(AcmeAccount {
            email: None,
            directory: "https://ca.test/dir".to_owned(),
            storage: files.path("state"),
            ca: None,
        });
        let acme = Acme { domains: vec!["a.test".to_owned(), "b.test".to_owned()], account };
        std::fs::create_dir_all(files.path("state/ca.test-dir")).unwrap();
        let alone = Certificates::read(&[], Some(&acme), &[]).unwrap();
        assert!(alone.find(Some("a.test")).is_none() && alone.ordered().iter().all(|one| one.is_missing()));
        // Others serve meanwhile.
        let wildcard = identity(&files, &["*.test"]);
        let beside = Certificates::read(std::slice::from_ref(&wildcard), Some(&acme), &[]).unwrap();
        let whose = |found: Option<Arc<CertifiedKey>>| found.unwrap().cert.clone();
        assert_eq!(whose(beside.find(Some("b.test"))), wildcard.read().unwrap().0);

        let pair = rcgen::generate_simple_self_signed(["b.test".to_owned()]).unwrap();
        let pem = pair.cert.pem() + &pair.signing_key.serialize_pem();
        let file = files.write("state/ca.test-dir/b.test.pem", &pem);
        let issued = Issued::read(&file, "b.test").unwrap().unwrap();
        for certificates in [&alone, &beside] {
            assert!(certificates.ordered()[1].show(&issued));
            assert!(!certificates.ordered()[1].show(&issued), "it is the same");
            assert_eq!(whose(certificates.find(Some("b.test"))), [pair.cert.der().clone()]);
        }
        assert_eq!(whose(alone.find(None)), [pair.cert.der().clone()], "there is no other");
        assert_eq!(whose(beside.find(None)), wildcard.read().unwrap().0);
        // What is kept is there from the start, and what was shown before if the file is gone.
        let again = Certificates::read(&[], Some(&acme), &[]).unwrap();
        assert!(again.find(Some("b.test")).is_some());
        std::fs::remove_file(&file).unwrap();
        let next = Certificates::read(&[], Some(&acme), again.ordered()).unwrap();
        assert!(next.find(Some("b.test")).is_some() && next.ordered()[0].is_missing());

        // That of another name, or rubbish, is none.
        files.write("state/ca.test-dir/a.test.pem", &pem);
        let error = Issued::read(&acme.account.certificate("a.test"), "a.test").unwrap_err();
        assert!(error.to_string().ends_with("a.test.pem is no certificate for a.test"), "{error}");
        assert!(Certificates::read(&[], Some(&acme), &[]).unwrap().ordered()[0].is_missing());
        // Nobody would get a certificate for a name that a file has.
        let error = Certificates::read(&[identity(&files, &["b.test"])], Some(&acme), &[]).unwrap_err();
        assert!(matches!(&error, TlsError::OrderedToo { name, .. } if name == "b.test"), "{error}");
    }
}
