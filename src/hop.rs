//! Hop-by-hop headers (RFC 9110, section 7.6.1), and lists in headers.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};

/// Which headers of a message are hop-by-hop: by themselves, or because `Connection` names them.
///
/// The list is read once: as it may be long, and the headers many, it is not searched for each of them.
#[derive(Debug)]
pub(crate) struct HopByHop(HeaderMap<()>);

impl HopByHop {
    /// Reads what `Connection` names.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut named = HeaderMap::default();
        for member in list(headers, &CONNECTION) {
            // Mostly it is one of these, and no header.
            if [&b"keep-alive"[..], b"close", b"upgrade"].iter().any(|word| member.eq_ignore_ascii_case(word))
            {
                continue;
            }
            let Ok(name) = HeaderName::from_bytes(member) else { continue };
            if headers.contains_key(&name) && !is_kept(&name) {
                named.insert(name, ());
            }
        }
        Self(named)
    }

    /// Returns whether this header is one of them.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        is_about_hop(name) || self.0.contains_key(name)
    }
}

/// Removes the hop-by-hop headers, and those that `Connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let hop = HopByHop::of(headers);
    let names: Vec<HeaderName> = headers.keys().filter(|name| hop.has(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Returns whether the list in a header contains `token`, in any case.
pub(crate) fn names(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list(headers, name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// Returns whether a message's body has another transfer coding than chunked: hyper does not decode such a coding (RFC
/// 9112, section 6.1).
pub(crate) fn is_coded(headers: &HeaderMap) -> bool {
    if !headers.contains_key(TRANSFER_ENCODING) {
        return false;
    }
    let mut codings = list(headers, &TRANSFER_ENCODING);
    let is_only_chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none();
    !is_only_chunked
}

/// Returns the members of a comma-separated list, over all lines of a header.
pub(crate) fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).into_iter().flat_map(tokens).filter(|member| !member.is_empty())
}

/// Returns the members of a comma-separated list, even if they are not tokens: such a member must not hide the others.
pub(crate) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn is_about_hop(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "proxy-authorization" | "proxy-authenticate"
        )
}

/// Returns whether a header belongs to the connection, or decides how a message is read or where it goes: only the
/// proxy sets these.
pub(crate) fn is_framing(name: &HeaderName) -> bool {
    is_about_hop(name)
        || [HOST, CONTENT_LENGTH, TRAILER, EXPECT].contains(name)
        || name.as_str().starts_with("sec-websocket-")
}

/// Returns whether a header is kept even if `Connection` names it: those that a message is read by, the names of its
/// trailers, those that proxies add, and those by which a backend knows who was let in.
fn is_kept(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, TRAILER, FORWARDED, VIA, AUTHORIZATION, COOKIE].contains(name) || is_identity(name)
}

/// Returns whether a header identifies the client, or its request, besides the request itself. Only proxies should set
/// it: a backend would believe a client's lie.
pub(crate) fn is_identity(name: &HeaderName) -> bool {
    let text = name.as_str();
    *name == FORWARDED
        || text.starts_with("x-forwarded")
        // CGI gateways and the like write `-` as `_`, which makes it another header's name.
        || text.contains('_')
        || IDENTITY.contains(&text)
}

/// Returns whether a header is read as one that identifies the client by whatever reads `_` as `-`. No proxy sets such a
/// one, and one that passes what it does not know would pass a client's lie.
pub(crate) fn is_disguised_identity(name: &HeaderName) -> bool {
    let text = name.as_str();
    text.contains('_')
        && HeaderName::from_bytes(text.replace('_', "-").as_bytes()).is_ok_and(|name| is_identity(&name))
}

/// Returns the value of `Trailer` for a request that is passed on, which has only the trailers that it names: none says who
/// the client is, in a header that proxies set or in one that `is_ours`, for a backend may take trailers for headers.
pub(crate) fn trailers(headers: &HeaderMap, is_ours: impl Fn(&HeaderName) -> bool) -> Option<HeaderValue> {
    let is_fine =
        |name: &&[u8]| HeaderName::from_bytes(name).is_ok_and(|name| !is_identity(&name) && !is_ours(&name));
    let names: Vec<_> = list(headers, &TRAILER).filter(is_fine).collect();
    HeaderValue::from_bytes(&names.join(&b", "[..])).ok().filter(|_| !names.is_empty())
}

/// Returns whether a header says whose certificate a client has shown, to whatever reads `_` as `-`: it is ours alone, and a
/// trusted proxy that does not know it would pass a client's lie.
pub(crate) fn is_client_certificate(name: &HeaderName) -> bool {
    let name = name.as_str().bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
    name.eq(CLIENT_CERTIFICATE.as_str().bytes())
}

/// Whose certificate a client has shown.
pub(crate) const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static("x-client-cert-subject");

/// Names that servers and frameworks are known to read.
const IDENTITY: [&str; 25] = [
    "client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded-for",
    "front-end-https",
    // To CGI it becomes HTTP_PROXY, through which its own requests go (httpoxy).
    "proxy",
    "proxy-client-ip",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-client-cert-subject",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-host",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-url-scheme",
];

/// The maximum of header lines in a message, in both directions. Hyper's own limit of 100 is less than some single
/// sign-ons need.
pub(crate) const LINES_MAX: usize = 500;
/// The maximum length of a message's header in bytes, including its first line. Cookies can be long.
pub(crate) const HEADER_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static [u8])]) -> HeaderMap {
        let value = |value: &[u8]| HeaderValue::from_bytes(value).unwrap();
        lines.iter().map(|&(name, bytes)| (HeaderName::from_static(name), value(bytes))).collect()
    }

    #[test]
    fn a_token_is_found_in_any_case_anywhere_in_the_list() {
        let headers = headers(&[("connection", b"keep-alive ,UPGRADE")]);
        assert!(names(&headers, &CONNECTION, "upgrade"));
        assert!(!names(&headers, &CONNECTION, "up"));
        assert!(!names(&headers, &UPGRADE, "websocket"));
    }

    #[test]
    fn a_list_is_read_whatever_else_stands_in_it() {
        let mut headers = headers(&[("connection", b"\xff, X-Hop"), ("x-hop", b"1"), ("x-own", b"1")]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-own"]);
    }

    #[test]
    fn connection_cannot_take_away_what_a_message_is_read_by() {
        for name in [
            "host",
            "content-length",
            "trailer",
            "x-forwarded-for",
            "forwarded",
            "via",
            "x-real-ip",
            "authorization",
            "cookie",
        ] {
            let mut headers = headers(&[("connection", b"close")]);
            headers.append(CONNECTION, HeaderValue::from_static(name));
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
            remove_hop_by_hop(&mut headers);
            assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), [name]);
        }
    }

    /// It would take minutes if the list were read again for each header.
    #[test]
    fn a_long_list_is_read_once() {
        let list = HeaderValue::from_bytes(&b",x-1".repeat(100_000)).unwrap();
        let names = (0..450).map(|number| format!("x-{number}").parse().unwrap());
        let mut headers: HeaderMap =
            names.map(|name: HeaderName| (name, HeaderValue::from_static("1"))).collect();
        headers.insert(CONNECTION, list);
        for _ in 0..20 {
            let mut headers = headers.clone();
            remove_hop_by_hop(&mut headers);
            assert_eq!(headers.len(), 449);
            assert!(!headers.contains_key("x-1"));
        }
    }

    #[test]
    fn a_body_is_coded_by_anything_but_chunked_alone() {
        let coded = |lines: &[&'static [u8]]| {
            let lines: Vec<_> = lines.iter().map(|&line| ("transfer-encoding", line)).collect();
            is_coded(&headers(&lines))
        };
        assert!(!coded(&[]) && !coded(&[b"Chunked"]) && !coded(&[b"chunked ,"]));
        for lines in [
            &[&b"gzip, chunked"[..]][..],
            &[b"gzip", b"chunked"],
            &[b"identity"],
            &[b""],
            &[b"chunked, chunked"],
        ] {
            assert!(coded(lines), "{lines:?}");
        }
    }
}
