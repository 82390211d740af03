//! `[server.tls]`.

use std::path::Path;

use instant_acme::LetsEncrypt;

use super::{GOOD, faults, parse};
use crate::tls::{ClientAuth, Identity};

#[test]
fn certificates_are_one_pair_or_a_list_of_them() {
    let tls = |table: &str| format!("[server]\ntls = {{ {table} }}\n");
    let pairs = |table: &str| {
        let tls =
            parse(&format!("{GOOD}{}", tls(table)), &[]).unwrap().server.listeners[0].tls.clone().unwrap();
        let pair = |pair: Identity| format!("{} {}", pair.certificate.display(), pair.key.display());
        tls.certificates.into_iter().map(pair).collect::<Vec<_>>()
    };
    assert_eq!(pairs("certificate = 'c', key = 'k'"), ["c k"]);
    let two = "certificates = [{ certificate = 'c', key = 'k' }, { certificate = 'd', key = 'l' }]";
    assert_eq!(pairs(two), ["c k", "d l"]);
    for (table, told) in [
        ("", "server.tls.certificate: missing, expected a line such as certificate = \"cert.pem\""),
        ("certificate = 'c'", "server.tls.key: missing, expected a line such as key = \"key.pem\""),
        ("certificates = []", "server.tls.certificates: found a list, expected a list of tables such as {"),
        ("certificates = {}", "server.tls.certificates: found a table, expected a list of tables such as {"),
        ("certificates = ['c']", "server.tls.certificates[0]: found \"c\", expected a table, [[server.tls"),
        ("certificates = [{ key = 'k' }]", "server.tls.certificates[0].certificate: missing"),
        ("certificates = [{ certificate = 'c', keys = 'k' }]", "did you mean \"key\"?"),
        (&format!("certificate = 'c', {two}"), "server.tls.certificate: means nothing beside certificates"),
        (&format!("key = 'c', {two}"), "server.tls.key: means nothing beside certificates; remove it"),
    ] {
        let faults = faults(&format!("{GOOD}{}", tls(table)), &[]);
        assert!(faults.iter().any(|fault| fault.contains(told)), "{table}: {faults:?}");
    }
}

#[test]
fn clients_without_a_certificate_are_a_matter_of_client_ca() {
    let line = |rest: &str| format!("{GOOD}[server]\ntls = {{ certificate = 'c', key = 'k'{rest} }}\n");
    let auth = |rest: &str| {
        let config = parse(&line(rest), &[]).unwrap();
        config.server.listeners[0].tls.as_ref().unwrap().client_auth
    };
    assert_eq!(auth(", client_ca = 'a'"), ClientAuth::Required);
    assert_eq!(auth(", client_ca = 'a', client_auth = 'required'"), ClientAuth::Required);
    assert_eq!(auth(", client_ca = 'a', client_auth = 'optional'"), ClientAuth::Optional);
    let told = faults(&line(", client_auth = 'optional'"), &[]);
    assert!(told[0].contains("server.tls.client_auth: means nothing without client_ca"), "{told:?}");
    let told = faults(&line(", client_ca = 'a', client_auth = 'option'"), &[]);
    assert!(told[0].contains("did you mean \"optional\"?"), "{told:?}");
}

#[test]
fn certificates_are_ordered_for_domains_alone_or_beside_others() {
    let line = |table: &str| format!("{GOOD}[server]\ntls = {{ {table} }}\n");
    let read = |table: &str| {
        parse(&line(table), &[]).unwrap().server.listeners[0].tls.as_ref().unwrap().acme.clone().unwrap()
    };
    let acme = read("acme = { domains = 'Example.org' }");
    assert_eq!(acme.domains, ["example.org"]);
    assert_eq!((&*acme.account.storage, &acme.account.email), (Path::new("/var/lib/polliwog"), &None));
    assert_eq!(acme.account.directory, LetsEncrypt::Production.url());
    let whole = read(
        "acme = { domains = ['a.test', 'xn--mnchen-3ya.test', 'intranet'], email = 'ops+acme@a.test', \
         directory = 'https://127.0.0.1:14000/dir', storage = 'state', ca = 'ca.pem' }, certificate = 'c', key = 'k'",
    );
    assert_eq!(whole.account.folder(), Path::new("state/127.0.0.1-14000-dir"));
    let files: Vec<_> = whole.identities().map(|identity| identity.certificate).collect();
    assert_eq!(files[0], Path::new("state/127.0.0.1-14000-dir/a.test.pem"));
    let staging = read("acme = { domains = 'a.test', directory = 'letsencrypt-staging' }");
    assert_ne!(staging.account.folder(), acme.account.folder());
    for (table, told) in [
        (
            "acme = {}",
            "server.tls.acme.domains: missing, expected a line such as domains = [\"example.org\"]",
        ),
        ("acme = { domains = [] }", "found no domain, expected at least one"),
        ("acme = { domains = '*.a.test' }", "expected a domain without a wildcard: TLS-ALPN-01 proves none"),
        (
            "acme = { domains = ['a.test', 'A.test'] }",
            "acme.domains[1]: found \"a.test\", expected each domain once",
        ),
        ("acme = { domains = '10.0.0.1' }", "no certificate is ordered for an address"),
        ("acme = { domains = '[::1]' }", "no certificate is ordered for an address"),
        ("acme = { domains = 'm\u{fc}nchen.test' }", "in its ASCII form"),
        ("acme = { domains = 'https://a.test/x' }", "did you mean \"a.test\"?"),
        ("acme = { domains = 'a.test:443' }", "did you mean \"a.test\"?"),
        ("acme = { domains = 'a.test.' }", "did you mean \"a.test\"?"),
        ("acme = { domains = '../a' }", "expected a domain such as"),
        ("acme = { domains = 'a_b.test' }", "expected a domain such as"),
        ("acme = { domains = '-a.test' }", "expected a domain such as"),
        ("acme = { domains = 'a..test' }", "expected a domain such as"),
        ("acme = { domains = 1 }", "expected a domain such as"),
        (
            "acme = { domains = 'a.test', email = 'ops' }",
            "acme.email: found \"ops\", expected an address such as",
        ),
        ("acme = { domains = 'a.test', email = 'mailto:o@a.test' }", "did you mean \"o@a.test\"?"),
        ("acme = { domains = 'a.test', email = '../o@a.test' }", "expected an address such as"),
        (
            "acme = { domains = 'a.test', directory = 'http://a.test/' }",
            "acme.directory: found \"http://a.test/\", expected",
        ),
        ("acme = { domains = 'a.test', directory = 'letsencript' }", "did you mean \"letsencrypt\"?"),
        ("acme = { domains = 'a.test', storage = '' }", "acme.storage: found \"\", expected a file name"),
        ("acme = { domain = 'a.test' }", "did you mean \"domains\"?"),
        ("acme = 'a.test'", "server.tls.acme: found \"a.test\", expected a table, [server.tls.acme]"),
        ("acme = { domains = 'a.test' }, certificate = 'c'", "server.tls.key: missing"),
        ("acme = { domains = 'a.test' }, client_auth = 'optional'", "means nothing without client_ca"),
    ] {
        let faults = faults(&line(table), &[]);
        assert!(faults.iter().any(|fault| fault.contains(told)), "{table}: {faults:?}");
    }
}
