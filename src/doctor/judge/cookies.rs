//! Whether a browser keeps the handshake's cookies and sends them back (RFC 6265bis, sections 5.6 and 5.8).

use http::header::SET_COOKIE;

use super::verdict::{Check, Verdict};
use crate::doctor::facts::{Answer, Target};
use crate::doctor::remedy::Trouble;

/// Judges the cookies of a handshake. `origin` is where clients' pages come from; `are_needed`: sessions are found by
/// them.
pub(super) fn judge(answer: &Answer, target: &Target, origin: Option<&str>, are_needed: bool) -> Verdict {
    let set = answer.all(&SET_COOKIE);
    if set.is_empty() {
        return Verdict::ok(Check::Cookies, "none is set");
    }
    let Some((cookie, fault)) = set.iter().find_map(|one| Some((one, fault(one, target, origin)?))) else {
        return Verdict::ok(Check::Cookies, "browsers send them back");
    };
    if !are_needed {
        return Verdict::note(Check::Cookies, format!("not sent back: {fault}"));
    }
    let name = cookie.split('=').next().unwrap_or_default().trim();
    let attributes = cookie.split_once(';').map_or("", |(_, attributes)| attributes);
    let evidence = vec![format!("Set-Cookie: {}=...;{}", name.escape_debug(), attributes.escape_debug())];
    Verdict::wrong(
        Trouble::Cookie,
        Check::Cookies,
        format!("the cookie of sessions is lost: {fault}"),
        evidence,
    )
}

/// Returns why a browser does not send a cookie back.
fn fault(cookie: &str, target: &Target, origin: Option<&str>) -> Option<&'static str> {
    let attribute = |wanted: &str| {
        let mut all = cookie.split(';').skip(1).map(|part| part.split_once('=').unwrap_or((part, "")));
        all.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let is_secure = attribute("secure").is_some();
    let same_site = attribute("samesite").unwrap_or_default();
    let is_local = matches!(&*target.host, "localhost" | "127.0.0.1" | "[::1]");
    if same_site == "none" && !is_secure {
        return Some("SameSite=None needs Secure");
    }
    if is_secure && !target.is_secure && !is_local {
        return Some("it is Secure, and the URL is http");
    }
    let path = attribute("path").filter(|path| path.starts_with('/'));
    if path.is_some_and(|path| !target.path.to_ascii_lowercase().starts_with(path.trim_end_matches('/'))) {
        return Some("its Path is another one");
    }
    let domain = attribute("domain").map(|domain| domain.trim_start_matches('.').to_owned());
    let host = target.host.to_ascii_lowercase();
    let fits =
        |domain: &String| domain.is_empty() || host == *domain || host.ends_with(&format!(".{domain}"));
    if domain.is_some_and(|domain| !fits(&domain)) {
        return Some("its Domain is another one");
    }
    let is_elsewhere = origin.is_some_and(|origin| site(origin) != site(&target.origin()));
    if is_elsewhere && same_site != "none" {
        return Some("pages of another site need SameSite=None and Secure");
    }
    None
}

/// Returns scheme and registrable domain of an origin, guessed: its last two labels.
fn site(origin: &str) -> (String, String) {
    let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
    let host =
        rest.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(rest, |(host, _)| host);
    let host = host.to_ascii_lowercase();
    let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    let labels: Vec<&str> = host.split('.').collect();
    let last = if is_address { host.clone() } else { labels[labels.len().saturating_sub(2)..].join(".") };
    (scheme.to_ascii_lowercase(), last)
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Mark;
    use super::*;
    use crate::client_options::Dialect;
    use crate::doctor::facts::tests::answer;

    fn target(origin: &str) -> Target {
        let (scheme, host) = origin.split_once("://").unwrap();
        Target {
            is_secure: scheme == "https",
            host: host.to_owned(),
            path: "/socket.io/".to_owned(),
            dialect: Dialect::EngineIo,
        }
    }

    #[test]
    fn a_sticky_cookie_that_browsers_do_not_send_back_is_a_fault() {
        for (cookie, at, origin) in [
            ("s=1; SameSite=None", "https://chat.example.org", None),
            ("s=1; Secure", "http://chat.example.org", None),
            ("s=1; Path=/other", "http://chat.example.org", None),
            ("s=1; Domain=example.com", "http://chat.example.org", None),
            ("s=1", "https://chat.example.org", Some("https://app.example.com")),
            ("s=1; SameSite=Lax; Secure", "https://chat.example.org", Some("https://example.com")),
        ] {
            let answer = answer(200, &[("set-cookie", cookie)], "");
            let judged = |are_needed| judge(&answer, &target(at), origin, are_needed);
            assert_eq!(judged(true).trouble, Some(Trouble::Cookie), "{cookie}");
            assert_eq!(judged(false).mark, Mark::Note, "{cookie}");
        }
    }

    #[test]
    fn a_cookie_that_comes_back_is_none() {
        for (cookie, at, origin) in [
            ("s=1; Path=/; HttpOnly; SameSite=Strict", "http://chat.example.org", None),
            ("s=1; Path=/socket.io/; Secure", "https://chat.example.org", None),
            ("s=1; Domain=.example.org", "https://chat.example.org", Some("https://app.example.org:8443")),
            ("s=1; SameSite=None; Secure", "https://chat.example.org", Some("https://app.example.com")),
            ("s=1; Secure", "http://127.0.0.1", None),
        ] {
            let answer = answer(200, &[("set-cookie", cookie)], "");
            assert_eq!(judge(&answer, &target(at), origin, true).mark, Mark::Ok, "{cookie}");
        }
        assert_eq!(judge(&answer(200, &[], ""), &target("http://h"), None, true).mark, Mark::Ok);
    }

    #[test]
    fn the_evidence_has_no_value() {
        let answer = answer(200, &[("set-cookie", "s=secret; SameSite=None")], "");
        let evidence = judge(&answer, &target("https://h"), None, true).evidence;
        assert_eq!(evidence, ["Set-Cookie: s=...; SameSite=None"]);
    }
}
