//! Which headers of a backend's answer reach the client, and how lists in headers are read.

use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};

/// Keeps of a 101 what is not about the hop, the handshake or a body: cookies, CORS, the application's own.
pub(super) fn keep_for_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    let unwanted = headers
        .keys()
        .filter(|name| {
            let text = name.as_str();
            **name == DATE || text.starts_with("content-") || text.starts_with("sec-websocket-")
        })
        .cloned()
        .collect::<Vec<_>>();
    remove(headers, unwanted);
}

/// Keeps of a refusal what is not about the hop; its body is sent with a length of its own.
pub(super) fn keep_of_refusal(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(CONTENT_LENGTH);
}

/// Whether the list in a header names `token`, in whatever case.
pub(super) fn names(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().flat_map(tokens).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether a message is chunked, and coded in no other way besides.
pub(super) fn is_only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter().flat_map(tokens);
    codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

/// The members of a comma-separated list.
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// RFC 9110, section 7.6.1, and what `Connection` itself names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect::<Vec<_>>();
    remove(headers, named);
    remove(headers, [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE]);
    remove(headers, [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection")]);
}

fn remove(headers: &mut HeaderMap, names: impl IntoIterator<Item = HeaderName>) {
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn left(headers: &HeaderMap) -> Vec<&str> {
        let mut names = headers.keys().map(HeaderName::as_str).collect::<Vec<_>>();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_client_gets_what_is_not_about_the_hop() {
        let mut headers = headers(&[
            ("set-cookie", "a=1"),
            ("access-control-allow-origin", "*"),
            ("x-powered-by", "tea"),
            ("connection", "Upgrade, X-Hop"),
            ("x-hop", "1"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", "x"),
            ("sec-websocket-protocol", "x"),
            ("date", "now"),
            ("content-type", "text/plain"),
            ("content-length", "0"),
            ("keep-alive", "timeout=5"),
        ]);
        keep_for_client(&mut headers);
        assert_eq!(left(&headers), ["access-control-allow-origin", "set-cookie", "x-powered-by"]);
    }

    #[test]
    fn a_refusal_keeps_its_type_and_loses_its_length() {
        let mut headers = headers(&[
            ("content-type", "text/html"),
            ("content-length", "9"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("retry-after", "7"),
        ]);
        keep_of_refusal(&mut headers);
        assert_eq!(left(&headers), ["content-type", "retry-after"]);
    }

    #[test]
    fn a_token_is_found_in_any_case_anywhere_in_the_list() {
        let headers = headers(&[("connection", "keep-alive ,UPGRADE")]);
        assert!(names(&headers, &CONNECTION, "upgrade"));
        assert!(!names(&headers, &CONNECTION, "up"));
        assert!(!names(&headers, &UPGRADE, "websocket"));
    }
}
