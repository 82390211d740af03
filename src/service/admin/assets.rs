//! The operator's page: files of the binary, which load nothing from elsewhere.

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use http::{Response, StatusCode};

use super::answer::Page;
use super::body::Body;

/// Returns the file at a path.
pub(super) fn at(path: &str) -> Option<Page> {
    let (_, media_type, bytes) = FILES.iter().find(|(name, ..)| *name == path)?;
    Some(Page { status: StatusCode::OK, media_type, body: Bytes::from_static(bytes) })
}

/// Has a browser load nothing for it from elsewhere, and show it in no other site's frame.
pub(super) fn guard(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

const FILES: &[(&str, &str, &[u8])] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("page/page.html")),
    ("/page.css", "text/css; charset=utf-8", include_bytes!("page/page.css")),
    ("/page.js", SCRIPT, include_bytes!("page/page.js")),
    ("/charts.js", SCRIPT, include_bytes!("page/charts.js")),
    ("/model.js", SCRIPT, include_bytes!("page/model.js")),
    ("/sessions.js", SCRIPT, include_bytes!("page/sessions.js")),
    ("/words.js", SCRIPT, include_bytes!("page/words.js")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../../upstream/demo/icon.svg")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
