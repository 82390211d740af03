//! The iframe page through which old browsers send their requests.

use std::time::{Duration, UNIX_EPOCH};

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderName, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};

use super::answer::reply;
use crate::dialect::Request;
use crate::hop;
use crate::reply::Reply;

/// Returns the page that loads the client library from this URL, or 304 if the client has it.
pub(super) fn answer(url: &str, request: &Request<'_>) -> Reply {
    let page = PAGE.replace("URL", &escaped(url));
    let tag = format!("\"{:016x}\"", hash(page.as_bytes()));
    let known = hop::list(&request.head.headers, &IF_NONE_MATCH)
        .any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag.as_bytes());
    let mut reply = if known {
        reply(StatusCode::NOT_MODIFIED, [CACHED], "")
    } else {
        reply(StatusCode::OK, [(CONTENT_TYPE, "text/html; charset=UTF-8"), CACHED], &page)
    };
    reply.headers.insert(EXPIRES, expires(request));
    reply.headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (ETAG, tag)));
    reply
}

/// Returns a year from now.
pub(super) fn expires(request: &Request<'_>) -> HeaderValue {
    let then = UNIX_EPOCH + Duration::from_secs(request.environment.unix_time() + YEAR);
    HeaderValue::try_from(httpdate::fmt_http_date(then)).unwrap_or(HeaderValue::from_static("0"))
}

/// Text in an attribute.
fn escaped(url: &str) -> String {
    url.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// FNV-1a: the same page has the same tag wherever it is served.
fn hash(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(start, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// How long browsers cache responses that never change.
pub(super) const CACHED: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=31536000");
const YEAR: u64 = 31_536_000;
/// The protocol's own, to the byte.
const PAGE: &str = r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="URL"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#;
