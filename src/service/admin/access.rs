//! Who may ask the admin listener: the token, and the pages of other sites, which an operator's browser lets ask as well.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use crate::service::demux::is_same_secret;

/// Returns whether a request has the token, which is given as the value of `Authorization`: as a bearer's, or as a password,
/// since a browser asks its user for no more than that.
pub(super) fn has_token(headers: &HeaderMap, token: &HeaderValue) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, sent)) = sent.and_then(|sent| sent.split_once(' ')) else { return false };
    let Some(token) = token.as_bytes().strip_prefix(BEARER) else { return false };
    if scheme.eq_ignore_ascii_case("bearer") {
        return is_same_secret(sent.trim().as_bytes(), token);
    }
    let decoded = STANDARD.decode(sent.trim()).unwrap_or_default();
    // All operators have the one token, whatever their name.
    let password = decoded.iter().position(|byte| *byte == b':').map(|colon| &decoded[colon + 1..]);
    scheme.eq_ignore_ascii_case("basic") && password.is_some_and(|password| is_same_secret(password, token))
}

/// Returns whether a page of another site sends the request. Without a token, a browser is only believed where the listener is
/// asked by its address: any site may have a name that leads here.
pub(super) fn is_of_another_site(headers: &HeaderMap, has_token: bool) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    let own = text(HOST.as_str());
    // Browsers add it themselves; `none` is what a person has typed. Older ones send no more than `Origin`.
    let site = text(SEC_FETCH_SITE);
    let (is_page, origin) = (headers.contains_key(ORIGIN), text(ORIGIN.as_str()).and_then(host));
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
        || (is_page && origin.as_deref() != own)
        || ((is_page || site.is_some()) && !has_token && !own.is_some_and(is_address))
}

/// Returns whether a host is an address, and not a name that somebody else may have made.
fn is_address(host: &str) -> bool {
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = port.map_or(host, |(name, _)| name);
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

const BEARER: &[u8] = b"Bearer ";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_token_comes_as_a_bearers_or_as_a_password() {
        let token = HeaderValue::from_static("Bearer a-long-secret");
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (sent, expected) in [
            ("Bearer a-long-secret".to_owned(), true),
            ("bearer a-long-secret".to_owned(), true),
            (basic("operator:a-long-secret"), true),
            (basic(":a-long-secret"), true),
            (basic("a-long-secret"), false),
            (basic("a-long-secret:"), false),
            (basic("x:y:a-long-secret"), false),
            ("Basic !".to_owned(), false),
            ("Bearer a-long-secre".to_owned(), false),
            ("Bearer ".to_owned(), false),
            ("a-long-secret".to_owned(), false),
            ("Digest a-long-secret".to_owned(), false),
        ] {
            assert_eq!(has_token(&headers(&[("authorization", &sent)]), &token), expected, "{sent}");
        }
        assert!(!has_token(&HeaderMap::new(), &token));
    }

    #[test]
    fn a_page_of_another_site_is_known_by_what_its_browser_adds() {
        let is_foreign = |lines: &[(&'static str, &str)]| is_of_another_site(&headers(lines), false);
        let own = ("host", "127.0.0.1:9090");
        for (more, expected) in [
            (&[][..], false),
            (&[("origin", "http://127.0.0.1:9090")], false),
            (&[("origin", "http://127.0.0.1:9091")], true),
            (&[("origin", "null")], true),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:9090")], true),
        ] {
            let lines: Vec<_> = [own].into_iter().chain(more.iter().copied()).collect();
            assert_eq!(is_foreign(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_name_that_may_be_anybodys_is_believed_with_a_token_alone() {
        for (host, expected) in [
            ("evil.example:9090", true),
            ("evil.example", true),
            ("localhost:9090", false),
            ("[::1]:9090", false),
            ("[::1]", false),
            ("10.0.0.1", false),
        ] {
            let lines = headers(&[("host", host), ("origin", &format!("http://{host}"))]);
            assert_eq!(is_of_another_site(&lines, false), expected, "{host}");
            assert!(!is_of_another_site(&lines, true), "{host}");
            assert!(!is_of_another_site(&headers(&[("host", host)]), false), "{host}: no browser sends this");
        }
    }
}
