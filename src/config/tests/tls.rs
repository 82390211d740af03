//! `[server.tls]`.

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
