//! `[server.tls]`: what a listener shows its clients, and asks of them.

use std::path::PathBuf;

use super::key::Section;
use super::key::Shown::Example;
use super::key::Type::File;
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::values::file;
use crate::tls::{Identity, TlsFiles};

/// The keys of `[server.tls]`.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const TLS: &[Row<Files>] = {
    use Section::Tls;
    &[
        row(Tls, "certificate", File, Example("\"cert.pem\""), "certificate chain, leaf first",
            |table, key, files| files.certificate = table.required(key, file)),
        row(Tls, "key", File, Example("\"key.pem\""), "the leaf's private key",
            |table, key, files| files.key = table.required(key, file)),
        row(Tls, "client_ca", File, Example("\"clients.pem\""), "authorities for client certificates; unset accepts anyone",
            |table, key, files| files.client_ca = table.value(key, file)),
    ]
};

/// What `[server.tls]` says.
#[derive(Default, Debug)]
pub(super) struct Files {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
}

/// Reads the table, if it was written.
pub(super) fn read(table: &Table<'_>, key: &'static str) -> Option<TlsFiles> {
    table.get(key)?;
    let mut files = Files::default();
    read_rows(TLS, &table.section(key, Section::Tls), &mut files);
    let identity = files.certificate.zip(files.key);
    let identity = identity.map(|(certificate, key)| Identity { certificate, key });
    identity.map(|identity| TlsFiles { identity, client_ca: files.client_ca })
}
