//! `[server.tls]`: what a listener shows its clients, and asks of them.

use std::path::PathBuf;

use super::acme;
use super::key::Section;
use super::key::Shown::{Default, Example};
use super::key::Type::{File, Table as Inline, Tables, Word};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::values::{file, word};
use crate::tls::{Acme, ClientAuth, Identity, TlsFiles};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const TLS: &[Row<Written>] = {
    use Section::Tls;
    &[
        row(Tls, "certificate", File, Example("\"cert.pem\""), "certificate chain, leaf first",
            |table, key, tls| tls.certificate = table.value(key, file)),
        row(Tls, "key", File, Example("\"key.pem\""), "the leaf's private key",
            |table, key, tls| tls.key = table.value(key, file)),
        row(Tls, "certificates", Tables, Example("[{ certificate = \"a.pem\", key = \"a.key\" }]"), "instead of one pair: the name that a client asks for decides, else the first",
            |table, key, tls| tls.certificates = certificates(table, key)),
        row(Tls, "acme", Inline, Example("{ domains = [\"example.org\"] }"), "orders certificates by ACME, such as { domains = [\"example.org\"] }",
            |table, key, tls| tls.acme = acme::read(table, key)),
        row(Tls, "client_ca", File, Example("\"clients.pem\""), "authorities for client certificates; unset accepts anyone",
            |table, key, tls| tls.client_ca = table.value(key, file)),
        row(Tls, "client_auth", Word, Default("\"required\""), "required or optional: whether clients may come without one",
            |table, key, tls| table.set(key, &mut tls.client_auth, word(&CLIENT_AUTH, &[]))),
    ]
};

/// The keys of one of several certificates.
#[rustfmt::skip]
pub(super) const CERTIFICATES: &[Row<Pair>] = {
    use Section::Certificates;
    &[
        row(Certificates, "certificate", File, Example("\"a.pem\""), "certificate chain, leaf first; its names decide which clients get it",
            |table, key, pair| pair.certificate = table.required(key, file)),
        row(Certificates, "key", File, Example("\"a.key\""), "the leaf's private key",
            |table, key, pair| pair.key = table.required(key, file)),
    ]
};

/// What the table says.
#[derive(Default, Debug)]
pub(super) struct Written {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    certificates: Vec<Identity>,
    acme: Option<Acme>,
    client_ca: Option<PathBuf>,
    client_auth: ClientAuth,
}

/// What is said of one of several certificates.
#[derive(Default, Debug)]
pub(super) struct Pair {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Reads the table, if it was written.
pub(super) fn read(table: &Table<'_>, key: &'static str) -> Option<TlsFiles> {
    table.get(key)?;
    let table = table.section(key, Section::Tls);
    let mut written = Written::default();
    read_rows(TLS, &table, &mut written);
    let Written { certificate, key, mut certificates, acme, client_ca, client_auth } = written;
    let is_several = table.get("certificates").is_some();
    let is_needed =
        ["certificate", "key", "acme"].map(|name| table.get(name).is_some()) != [false, false, true];
    for name in ["certificate", "key"] {
        match table.get(name) {
            Some(_) if is_several => table.report_idle(name, "beside certificates".to_owned()),
            None if !is_several && is_needed => table.report_missing(name),
            Some(_) | None => {}
        }
    }
    if table.get("client_auth").is_some() && table.get("client_ca").is_none() {
        table.report_idle("client_auth", "without client_ca".to_owned());
    }
    let one = certificate.zip(key).map(|(certificate, key)| Identity { certificate, key });
    certificates.extend(one);
    let files = TlsFiles { certificates, acme, client_ca, client_auth };
    Some(files).filter(|files| !files.certificates.is_empty() || files.acme.is_some())
}

fn certificates(table: &Table<'_>, key: &'static str) -> Vec<Identity> {
    let Some(node) = table.get(key) else { return Vec::new() };
    let Some(items) = node.items().filter(|items| !items.is_empty()) else {
        table.report(
            key,
            node.show(),
            "a list of tables such as { certificate = \"a.pem\", key = \"a.key\" }",
        );
        return Vec::new();
    };
    let read = |(index, item)| {
        let mut pair = Pair::default();
        let whole = format!("{}[{index}]", table.key_of(key));
        read_rows(CERTIFICATES, &table.within(item, whole, Section::Certificates), &mut pair);
        Some(Identity { certificate: pair.certificate?, key: pair.key? })
    };
    items.iter().enumerate().filter_map(read).collect()
}

const CLIENT_AUTH: [(&str, ClientAuth); 2] =
    [("required", ClientAuth::Required), ("optional", ClientAuth::Optional)];
