//! `[routes.jwt]`: the tokens that clients need.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::key::{Section, Shown, Type};
use super::row::{Row, read_rows, row};
use super::table::Table;
use super::tree::{Node, show_text};
use super::trust;
use super::values::{HOUR, Wrong, duration, file, text, url};
use crate::jwt::{self, Rules};
use crate::service::{JwtSettings, KeySettings, TokenFrom};
use crate::upstream::{Host, Kind, Settings, is_secure};

/// The keys of the table.
#[rustfmt::skip] // One line for each key, and one for its setter.
pub(super) const JWT: &[Row<Written>] = &[
    row(Section::RouteJwt, "jwks", Type::Text, Shown::Example("\"https://id.example.org/jwks.json\""), "public keys of the issuer, a JWK set: https URL, or file",
        |table, key, jwt| match table.required(key, source) {
            Some(Jwks::File(path)) => jwt.file = Some(path),
            Some(Jwks::Url(url)) => jwt.server.urls = vec![url],
            None => {}
        }),
    row(Section::RouteJwt, "tls", Type::Table, Shown::Example("{ ca = \"ca.pem\" }"), "how an https server is authenticated, as in upstreams",
        |table, key, jwt| trust::read(table, key, &mut jwt.server)),
    row(Section::RouteJwt, "issuer", Type::Texts, Shown::Example("\"https://id.example.org/\""), "required iss, or a list; unset: any",
        |table, key, jwt| if let Some(names) = names(table, key) { jwt.rules.issuer = names; }),
    row(Section::RouteJwt, "audience", Type::Texts, Shown::Example("\"chat\""), "required aud, or a list; unset: tokens must have none",
        |table, key, jwt| if let Some(names) = names(table, key) { jwt.rules.audience = names; }),
    row(Section::RouteJwt, "from", Type::Text, Shown::Default("\"header\""), "where it is: header (Bearer), query:NAME, cookie:NAME",
        |table, key, jwt| table.set(key, &mut jwt.from, from)),
    row(Section::RouteJwt, "leeway", Type::Duration, Shown::Default("\"30s\""), "how far clocks may differ, for exp and nbf",
        |table, key, jwt| table.set(key, &mut jwt.rules.leeway, duration(Duration::ZERO..=HOUR))),
];

/// What the table says.
#[derive(Debug)]
pub(super) struct Written {
    file: Option<PathBuf>,
    server: Settings,
    rules: Rules,
    from: TokenFrom,
}

/// Where the keys are, as it is written.
enum Jwks {
    File(PathBuf),
    Url(Uri),
}

/// Reads the table in a route.
pub(super) fn read(route: &Table<'_>, key: &'static str) -> Option<JwtSettings> {
    let node = route.get(key)?;
    if !jwt::is_built() {
        route.report(key, node.show(), "none: this binary was built without the feature jwt");
        return None;
    }
    let server = Settings { kind: Kind::Http, host: Host::Upstream, ..Settings::default() };
    let rules = Rules { leeway: Duration::from_secs(30), ..Rules::default() };
    let mut written = Written { file: None, server, rules, from: TokenFrom::default() };
    let table = route.section(key, Section::RouteJwt);
    read_rows(JWT, &table, &mut written);
    let Written { file, server, rules, from } = written;
    if file.is_some() && table.get("tls").is_some() {
        table.report_idle("tls", "with a file in jwks".to_owned());
    }
    let keys = file.map_or_else(|| KeySettings::Server(Box::new(server)), KeySettings::File);
    Some(JwtSettings { keys, rules, from })
}

fn source(node: &Node) -> Result<Jwks, Wrong> {
    let written = text(node)?;
    if !written.contains("://") {
        return file(node).map(Jwks::File);
    }
    let url = url("http")(node)?;
    if is_secure(&url) || url.host().is_some_and(is_here) {
        return Ok(Jwks::Url(url));
    }
    // Keys that anybody on the way can replace.
    Err(Wrong::expected("a URL with https, or one of this host"))
}

fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn names(table: &Table<'_>, key: &'static str) -> Option<Vec<String>> {
    let name = |node: &Node| {
        let wrong = || Wrong::expected("a text that is not empty");
        text(node).ok().filter(|text| !text.is_empty()).ok_or_else(wrong)
    };
    let names = table.list(key, name)?;
    if names.is_empty() {
        table.report(key, "an empty list".to_owned(), "at least one; without this key none is required");
    }
    table.report_doubles(key, &names, |name| show_text(name), "each once");
    Some(names.into_iter().map(|(_, name)| name).collect())
}

fn from(node: &Node) -> Result<TokenFrom, Wrong> {
    let wrong = || Wrong::expected("header, query:NAME or cookie:NAME");
    let written = text(node).map_err(|_| wrong())?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"=;&\"".contains(&byte))
    };
    match written.split_once(':') {
        None if written == "header" => Ok(TokenFrom::Header),
        Some(("query", name)) if is_name(name) => Ok(TokenFrom::Query(name.to_owned())),
        Some(("cookie", name)) if is_name(name) => Ok(TokenFrom::Cookie(name.to_owned())),
        Some(_) | None => Err(wrong()),
    }
}
