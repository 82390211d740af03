//! `tls.acme`: the certificates of a listener that are ordered, and where.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use instant_acme::LetsEncrypt;

use super::fault::Place;
use super::key::Section::Acme as Section;
use super::key::Shown::{Default, Example};
use super::key::Type::{File, Text, Texts};
use super::row::{Row, read_rows, row};
use super::suggestion::nearest;
use super::table::Table;
use super::tree::{Node, show_text};
use super::values::{Wrong, file, host_within, text};
use crate::tls::{Acme, AcmeAccount};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const ACME: &[Row<Written>] = &[
    row(Section, "domains", Texts, Example("[\"example.org\"]"), "domains that lead to this listener's port 443; each gets a certificate", domains),
    row(Section, "email", Text, Example("\"ops@example.org\""), "where the authority may write to",
        |table, key, acme| acme.email = table.value(key, email)),
    row(Section, "directory", Text, Default("\"letsencrypt\""), "letsencrypt, letsencrypt-staging, or the URL of an ACME server",
        |table, key, acme| acme.directory = table.value(key, directory)),
    row(Section, "storage", File, Default("\"/var/lib/polliwog\""), "folder of account, certificates and keys",
        |table, key, acme| acme.storage = table.value(key, file)),
    row(Section, "ca", File, Example("\"acme-ca.pem\""), "authorities for the ACME server itself; unset: the system's",
        |table, key, acme| acme.ca = table.value(key, file)),
];

/// What the table says.
#[derive(Default, Debug)]
pub(super) struct Written {
    domains: Vec<String>,
    email: Option<String>,
    directory: Option<String>,
    storage: Option<PathBuf>,
    ca: Option<PathBuf>,
}

/// Reads the table, if it was written.
pub(super) fn read(table: &Table<'_>, key: &'static str) -> Option<Acme> {
    table.get(key)?;
    let table = table.section(key, Section);
    let mut written = Written::default();
    read_rows(ACME, &table, &mut written);
    if table.get("domains").is_none() {
        table.report_missing("domains");
    }
    let Written { domains, email, directory, storage, ca } = written;
    let account = AcmeAccount {
        email,
        directory: directory.unwrap_or_else(|| LetsEncrypt::Production.url().to_owned()),
        storage: storage.unwrap_or_else(|| PathBuf::from(STORAGE)),
        ca,
    };
    Some(Acme { domains, account: Arc::new(account) }).filter(|acme| !acme.domains.is_empty())
}

fn domains(table: &Table<'_>, key: &'static str, acme: &mut Written) {
    let Some(domains) = table.list(key, domain) else { return };
    if domains.is_empty() {
        table.report(key, "no domain".to_owned(), "at least one such as \"example.org\"");
    }
    if domains.len() > DOMAINS_MAX {
        table.report(key, format!("{} domains", domains.len()), &format!("at most {DOMAINS_MAX}"));
    }
    let mut before: Vec<(Place, String)> = Vec::new();
    for (index, (place, domain)) in domains.into_iter().enumerate() {
        if before.iter().any(|(_, other)| *other == domain) {
            table.report_item(key, index, &place, show_text(&domain), "each domain once");
        }
        before.push((place, domain));
    }
    acme.domains = before.into_iter().map(|(_, domain)| domain).collect();
}

/// Returns a domain that a certificate can be ordered for, in lower case.
fn domain(node: &Node) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("a domain such as \"example.org\"");
    let text = text(node).map_err(|_| wrong())?.to_ascii_lowercase();
    if text.starts_with("*.") {
        let why = "a domain without a wildcard: TLS-ALPN-01 proves none, use a file in certificates";
        return Err(Wrong::expected(why));
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(Wrong::expected("a domain: no certificate is ordered for an address"));
    }
    if !text.is_ascii() {
        return Err(Wrong::expected("a domain in its ASCII form, such as \"xn--mnchen-3ya.example\""));
    }
    if is_domain(&text) {
        return Ok(text);
    }
    let meant = host_within(text.trim_end_matches('.')).filter(|host| is_domain(host));
    Err(wrong().or(meant))
}

fn is_domain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Returns an address of e-mail, which also names a file.
fn email(node: &Node) -> Result<String, Wrong> {
    let wrong = || Wrong::expected("an address such as \"ops@example.org\"");
    let email = text(node).map_err(|_| wrong())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_=@".contains(&byte);
    let fits = |email: &str| {
        email.len() <= 128
            && email.bytes().all(plain)
            && email
                .split_once('@')
                .is_some_and(|(who, host)| !who.is_empty() && is_domain(&host.to_lowercase()))
    };
    if fits(&email) {
        return Ok(email);
    }
    Err(wrong().or(email.strip_prefix("mailto:").filter(|email| fits(email))))
}

/// Returns the URL of an ACME server's directory.
fn directory(node: &Node) -> Result<String, Wrong> {
    let words = [("letsencrypt", LetsEncrypt::Production), ("letsencrypt-staging", LetsEncrypt::Staging)];
    let names = words.iter().map(|(name, _)| *name);
    let wrong =
        || Wrong::expected("letsencrypt, letsencrypt-staging, or a URL such as \"https://ca.example/acme\"");
    let text = text(node).map_err(|_| wrong())?;
    if let Some((_, known)) = words.iter().find(|(name, _)| *name == text) {
        return Ok(known.url().to_owned());
    }
    let is_right = |uri: &Uri| {
        uri.scheme_str() == Some("https")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    };
    match text.parse::<Uri>() {
        Ok(uri) if is_right(&uri) => Ok(text),
        Ok(_) | Err(_) => Err(wrong().or(nearest(&text, names))),
    }
}

/// What systemd makes for `StateDirectory=polliwog`.
const STORAGE: &str = "/var/lib/polliwog";
/// One after the other is ordered.
const DOMAINS_MAX: usize = 100;
