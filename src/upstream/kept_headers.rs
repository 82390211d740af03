//! Which headers of a backend's response reach the client.

use http::header::{CONTENT_LENGTH, DATE, HeaderMap, TRAILER};

use crate::hop::remove_hop_by_hop;

/// Removes from a 101 the hop-by-hop headers and those of the handshake or a body; cookies, CORS and the application's
/// own remain.
pub(super) fn keep_for_client(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(TRAILER);
    let unwanted = headers
        .keys()
        .filter(|name| {
            let text = name.as_str();
            **name == DATE || text.starts_with("content-") || text.starts_with("sec-websocket-")
        })
        .cloned()
        .collect::<Vec<_>>();
    for name in unwanted {
        headers.remove(name);
    }
}

/// Removes the hop-by-hop headers from a refusal; its body is sent with a length of its own.
pub(super) fn keep_of_refusal(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(TRAILER);
    headers.remove(CONTENT_LENGTH);
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

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
}
