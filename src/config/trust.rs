//! `[upstreams.NAME.tls]`: how a backend proves who it is.

use super::key::Section;
use super::table::Table;
use super::tree::show_text;
use super::values::{file, server_name, word};
use crate::tls::{Identity, Trust};
use crate::upstream::{Kind, Settings, Tls, is_secure};

/// Reads the table in an upstream whose other settings are known.
pub(super) fn read(upstream: &Table<'_>, settings: &Settings) -> Tls {
    let Some(node) = upstream.get("tls") else { return Tls::default() };
    // An operator who sets it relies on it.
    let is_demo = matches!(settings.kind, Kind::Demo(_));
    if let Some(url) = settings.urls.iter().find(|url| !is_secure(url) && !is_demo) {
        let found = format!("{} beside {}", node.show(), show_text(&url.to_string()));
        upstream.report("tls", found, "it only beside URLs that begin with \"wss://\" or \"https://\"");
    }
    let table = upstream.section("tls", Section::UpstreamTls);
    let (ca, roots) = (table.value("ca", file), table.value("roots", word(&ROOTS, &[])));
    if let (Some(_), Some(roots)) = (table.get("ca"), table.get("roots")) {
        table.report("roots", roots.show(), "none beside ca, which alone is trusted");
    }
    let trust = ca.map(Trust::File).or_else(|| roots.cloned()).unwrap_or_default();
    let identity = match (table.value("certificate", file), table.value("key", file)) {
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
    Tls { trust, server_name: table.value("server_name", server_name), identity }
}

const ROOTS: [(&str, &Trust); 2] = [("system", &Trust::System), ("webpki", &Trust::WebPki)];
