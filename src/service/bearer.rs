//! Where the clients of a route have their token. One in a query is taken out before anything else reads that.

use std::fmt;

use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use http::{HeaderMap, Uri};

use crate::codec::urlencoded;

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
    pub(super) fn of(&self, head: &Parts) -> Option<String> {
        match self {
            Self::Query(_) => head.extensions.get::<Taken>().map(|taken| taken.0.clone()),
            Self::Header | Self::Cookie(_) => self.of_headers(&head.headers),
        }
    }

    /// Takes the token of a request that another proxy tells of out of its target, or returns that of its headers.
    pub(super) fn of_told(&self, target: &mut String, headers: &HeaderMap) -> Option<String> {
        let Self::Query(name) = self else { return self.of_headers(headers) };
        let (rest, token) = without(target, name)?;
        *target = rest;
        Some(token)
    }

    fn of_headers(&self, headers: &HeaderMap) -> Option<String> {
        let token = match self {
            Self::Header => {
                let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
                Some(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
            }
            Self::Cookie(name) => {
                let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
                let mut pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
                pairs.find_map(|pair| pair.strip_prefix(name.as_str())?.strip_prefix('='))
            }
            Self::Query(_) => None,
        };
        token.map(str::to_owned)
    }
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

#[cfg(test)]
mod tests {
    use http::Request;

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
            assert_eq!(from.of(&head).as_deref(), token, "{target}");
            assert!(!format!("{head:?}").contains("x.y"), "it is not shown");
        }
        let mut told = "/a?access_token=x&b=1".to_owned();
        assert_eq!(from.of_told(&mut told, &HeaderMap::new()).as_deref(), Some("x"));
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
            assert_eq!(from.of(&head).as_deref(), token);
        }
        assert_eq!(head.uri, "/a?token=q");
        head.headers.insert(AUTHORIZATION, "Basic eDp5".parse().unwrap());
        assert_eq!(TokenFrom::Header.of(&head), None);
    }
}
