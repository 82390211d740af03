//! `[upstreams.NAME.tls]`: how a backend proves who it is.

use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::show_text;
use super::values::{file, server_name, word};
use crate::tls::{Identity, Trust};
use crate::upstream::{Kind, Settings, Tls, is_secure};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const TLS: &[Row<Written>] = &[
    row(Section::UpstreamTls, "ca", Type::File, Shown::Example("\"ca.pem\""), "PEM file of the only trusted authorities",
        |table, key, tls| tls.ca = table.value(key, file)),
    row(Section::UpstreamTls, "roots", Type::Word, Shown::Example("\"webpki\""), "system or webpki (Mozilla's, built in); unset: system, else webpki",
        |table, key, tls| tls.roots = table.value(key, word(&ROOTS, &[]))),
    row(Section::UpstreamTls, "server_name", Type::Text, Shown::Example("\"chat.example.org\""), "name in its certificate; unset: the URL's host",
        |table, key, tls| tls.server_name = table.value(key, server_name)),
    row(Section::UpstreamTls, "certificate", Type::File, Shown::Example("\"cert.pem\""), "our client certificate, if it asks; leaf first",
        |table, key, tls| tls.certificate = table.value(key, file)),
    row(Section::UpstreamTls, "key", Type::File, Shown::Example("\"key.pem\""), "the leaf's private key",
        |table, key, tls| tls.key = table.value(key, file)),
];

/// What the table says.
#[derive(Default, Debug)]
pub(super) struct Written {
    ca: Option<PathBuf>,
    roots: Option<&'static Trust>,
    server_name: Option<ServerName<'static>>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Reads the table in an upstream whose kind and URLs are known.
pub(super) fn read(upstream: &Table<'_>, key: &'static str, settings: &mut Settings) {
    if upstream.get(key).is_none() {
        return;
    }
    // An operator who sets it relies on it.
    let is_demo = matches!(settings.kind, Kind::Demo(_));
    if let Some(url) = settings.urls.iter().find(|url| !is_secure(url) && !is_demo) {
        let url = show_text(&url.to_string());
        upstream.report_idle(key, format!("with the URL {url}, only with \"wss://\" or \"https://\""));
    }
    let table = upstream.section(key, Section::UpstreamTls);
    let mut written = Written::default();
    read_rows(TLS, &table, &mut written);
    let Written { ca, roots, server_name, certificate, key } = written;
    if table.get("ca").is_some() && table.get("roots").is_some() {
        table.report_idle("roots", "beside ca, which alone is trusted".to_owned());
    }
    let trust = ca.map(Trust::File).or_else(|| roots.cloned()).unwrap_or_default();
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            table.report_missing("key");
            None
        }
        (None, Some(_)) => {
            table.report_missing("certificate");
            None
        }
    };
    settings.tls = Tls { trust, server_name, identity };
}

const ROOTS: [(&str, &Trust); 2] = [("system", &Trust::System), ("webpki", &Trust::WebPki)];
