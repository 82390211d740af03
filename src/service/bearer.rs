//! Where the clients of a route have their token. One in a query is taken out before anything else reads that.

use std::fmt;

use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};

use crate::codec::urlencoded;
use crate::jwt::Invalid;

/// Where a token is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum TokenFrom {
    /// In `Authorization: Bearer` (RFC 6750, section 2.1).
    #[default]
    Header,
    /// In this parameter of the query.
    Query(String),
    /// In this cookie.
    Cookie(String),
}

/// A token that was taken out of a query, among the extensions of its request.
#[derive(Clone)]
struct Taken(String);

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken(..)")
    }
}

impl TokenFrom {
    /// Takes the token out of a request's query, if it is there, and keeps it beside.
    pub(super) fn take(&self, head: &mut Parts) {
        let Self::Query(name) = self else { return };
        let Some((target, token)) =
            head.uri.path_and_query().and_then(|target| without(target.as_str(), name))
        else {
            return;
        };
        head.extensions.insert(Taken(token));
        let mut parts = head.uri.clone().into_parts();
        // A part of a target is one.
        parts.path_and_query = target.parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            head.uri = uri;
        }
    }

    /// Returns the token of a request, out of whose query it was taken.
    ///
    /// # Errors
    /// There may be another, which the backend could read.
    pub(super) fn of(&self, head: &Parts) -> Result<Option<String>, Invalid> {
        match self {
            Self::Query(_) => Ok(head.extensions.get::<Taken>().map(|taken| taken.0.clone())),
            Self::Header | Self::Cookie(_) => self.of_headers(&head.headers),
        }
    }

    /// Takes the token of a request that another proxy tells of out of its target, or returns that of its headers.
    ///
    /// # Errors
    /// There may be another, which the backend could read.
    pub(super) fn of_told(
        &self,
        target: &mut String,
        headers: &HeaderMap,
    ) -> Result<Option<String>, Invalid> {
        let Self::Query(name) = self else { return self.of_headers(headers) };
        Ok(without(target, name).map(|(rest, token)| {
            *target = rest;
            token
        }))
    }

    fn of_headers(&self, headers: &HeaderMap) -> Result<Option<String>, Invalid> {
        let name = match self {
            Self::Header => AUTHORIZATION,
            Self::Cookie(_) => COOKIE,
            Self::Query(_) => return Ok(None),
        };
        let lines = || headers.get_all(&name).iter().map(HeaderValue::as_bytes);
        let (tokens, token) = match self {
            Self::Cookie(name) => {
                let tokens = lines().map(|line| cookies_named(line, name.as_bytes())).sum();
                (tokens, lines().find_map(|line| cookie(line, name.as_bytes())))
            }
            Self::Header | Self::Query(_) => (lines().count(), lines().find_map(bearer)),
        };
        if tokens > 1 {
            return Err(Invalid::Several);
        }
        // A token is ASCII.
        Ok(token.and_then(|token| std::str::from_utf8(token).ok()).map(str::to_owned))
    }
}

/// Returns the token in an `Authorization`.
fn bearer(line: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = line.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
}

/// Returns the value of a cookie (RFC 6265, section 4.2.1) in one line, whatever stands beside it.
fn cookie<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    line.split(|&byte| byte == b';').find_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        (pair[..at].trim_ascii() == name).then(|| pair[at + 1..].trim_ascii())
    })
}

/// Returns how often the most lenient backend could find a cookie of this name in one line: one that also takes a comma, a
/// space or a quote for an end, and names of any case.
fn cookies_named(line: &[u8], name: &[u8]) -> usize {
    let begins = |at: usize| at == 0 || matches!(line[at - 1], b';' | b',' | b' ' | b'\t' | b'"');
    let is_named = |at: usize| {
        let found = line[at..].split_at_checked(name.len());
        found.is_some_and(|(found, rest)| {
            found.eq_ignore_ascii_case(name) && rest.trim_ascii_start().starts_with(b"=")
        })
    };
    (0..line.len()).filter(|&at| begins(at) && is_named(at)).count()
}

/// Returns a target without a parameter, and the first value of that; `None` if it is not there.
fn without(target: &str, name: &str) -> Option<(String, String)> {
    let (path, query) = target.split_once('?')?;
    let value = |pair: &str| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (urlencoded::decode(found.as_bytes()) == name.as_bytes())
            .then(|| urlencoded::decode(value.as_bytes()))
    };
    let token = query.split('&').find_map(value)?;
    let rest: Vec<_> = query.split('&').filter(|pair| value(pair).is_none()).collect();
    let rest = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    Some((rest, String::from_utf8_lossy(&token).into_owned()))
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use http::{HeaderName, Request};

    use super::*;

    fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().uri(target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_token_in_a_query_is_taken_out_of_it() {
        let from = TokenFrom::Query("access_token".to_owned());
        for (target, rest, token) in [
            ("/a/?access_token=x.y", "/a/", Some("x.y")),
            ("/a/?EIO=4&access_token=x%2Ey&t=1", "/a/?EIO=4&t=1", Some("x.y")),
            ("/a/?access%5Ftoken=x&b&access_token=y", "/a/?b", Some("x")),
            ("/a/?access_token", "/a/", Some("")),
            ("/a/?accesstoken=x", "/a/?accesstoken=x", None),
            ("/a/", "/a/", None),
            ("http://h.test/a?b=1&access_token=x", "http://h.test/a?b=1", Some("x")),
        ] {
            let mut head = head(target, &[("authorization", "Bearer other")]);
            from.take(&mut head);
            assert_eq!(head.uri.to_string(), rest);
            assert_eq!(from.of(&head).unwrap().as_deref(), token, "{target}");
            assert!(!format!("{head:?}").contains("x.y"), "it is not shown");
        }
        let mut told = "/a?access_token=x&b=1".to_owned();
        assert_eq!(from.of_told(&mut told, &HeaderMap::new()).unwrap().as_deref(), Some("x"));
        assert_eq!(told, "/a?b=1");
    }

    #[test]
    fn a_token_in_a_header_or_cookie_is_read_and_stays() {
        let sent = [("authorization", "bearer  x.y"), ("cookie", "a=1; token=z"), ("cookie", "tokens=2")];
        let mut head = head("/a?token=q", &sent);
        for (from, token) in [
            (TokenFrom::Header, Some("x.y")),
            (TokenFrom::Cookie("token".to_owned()), Some("z")),
            (TokenFrom::Cookie("tok".to_owned()), None),
        ] {
            from.take(&mut head);
            assert_eq!(from.of(&head).unwrap().as_deref(), token);
        }
        assert_eq!(head.uri, "/a?token=q");
        head.headers.insert(AUTHORIZATION, "Basic eDp5".parse().unwrap());
        assert_eq!(TokenFrom::Header.of(&head), Ok(None));
    }

    #[test]
    fn a_token_beside_which_a_backend_could_find_another_is_none() {
        let cookie = TokenFrom::Cookie("token".to_owned());
        let of = |from: &TokenFrom, name: &HeaderName, lines: &[&[u8]]| {
            let mut head = head("/", &[]);
            for line in lines {
                head.headers.append(name, HeaderValue::from_bytes(line).unwrap());
            }
            from.of(&head)
        };
        for lines in [
            &[&b"token=x; token=y"[..]][..],
            &[b"token=x", b"token=y"],
            &[b"token=y; a=\xff", b"token=x"],
            &[b"token=x; token =y"],
            &[b"token=x; TOKEN=y"],
            &[b"token=x; a=1, token=y"],
            &[b"token=x; a=1 token\t=y"],
            &[b"token=x; a=\"token=y"],
        ] {
            assert_eq!(of(&cookie, &COOKIE, lines), Err(Invalid::Several), "{lines:?}");
        }
        for (lines, token) in [
            (&[&b"name=J\xc3\xb6rg; token=x"[..]][..], Some("x")),
            (&[b"a=1; token = x ;b"], Some("x")),
            (&[b"tokens=1; mytoken=2; a=token; token=x"], Some("x")),
            (&[b"a=1, token=x"], None),
            (&[b"Token=x"], None),
            (&[b"token=\xff"], None),
            (&[], None),
        ] {
            assert_eq!(of(&cookie, &COOKIE, lines), Ok(token.map(str::to_owned)), "{lines:?}");
        }
        let lines: &[&[u8]] = &[b"Bearer x", b"Bearer y"];
        assert_eq!(of(&TokenFrom::Header, &AUTHORIZATION, lines), Err(Invalid::Several));
        assert_eq!(of(&TokenFrom::Header, &AUTHORIZATION, &lines[..1]), Ok(Some("x".to_owned())));
    }
}
