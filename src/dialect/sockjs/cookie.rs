//! The cookie to which a balancer in front adds its own.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Returns the cookie for the response: the client's own, or a new one without meaning.
pub(super) fn cookie(sent: &HeaderMap) -> Option<HeaderValue> {
    let sent = sent.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let own = sent.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix("JSESSIONID="));
    format!("JSESSIONID={}; path=/", own.unwrap_or("dummy")).try_into().ok()
}
