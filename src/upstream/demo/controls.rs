//! What the page may do to the process, where the configuration allows it: drain it, or kill it.
//!
//! Both are signals to itself, so they do what they do for an operator, once the request is answered. A page of another
//! origin must not be able to send them, nor one whose name was made to lead here: the request's `Origin` must be its own
//! host, and that a loopback address.

use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode};
use rustix::process::{Signal, getpid, kill_process};

/// Where the page finds out what it may do.
pub(super) const PATH: &str = "/polliwog-demo/controls";

/// Names of the controls, each with the signal that it is.
const CONTROLS: [(&str, Signal); 2] = [("drain", Signal::TERM), ("kill", Signal::KILL)];

/// In how long an answer has certainly left the process.
const ANSWERED: Duration = Duration::from_millis(100);

/// Answers a request for [`PATH`], or for a control below it; `None` for any other path.
pub(super) fn answer(
    is_allowed: bool,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str)> {
    let rest = path.strip_prefix(PATH)?;
    if rest.is_empty() {
        return Some((StatusCode::OK, if is_allowed { "drain kill" } else { "" }));
    }
    let (_, signal) = CONTROLS.iter().find(|(name, _)| rest.strip_prefix('/') == Some(name))?;
    if !is_allowed || !is_own_page(headers) {
        return Some((StatusCode::FORBIDDEN, "not allowed\n"));
    }
    if *method != Method::POST {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"));
    }
    let signal = *signal;
    // It answers first: browsers and balancers ask again what got no answer, and the next node would die of that.
    thread::spawn(move || {
        thread::sleep(ANSWERED);
        // A process may always signal itself.
        let _ = kill_process(getpid(), signal);
    });
    Some((StatusCode::ACCEPTED, "on its way\n"))
}

/// Returns whether a page of this very server, opened at a loopback address, asks.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let (Some(host), Some(origin)) = (text(HOST), text(ORIGIN)) else { return false };
    let is_same = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host);
    is_same && is_loopback(host)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(is_allowed: bool, method: &Method, path: &str, host: &str, origin: &str) -> Option<u16> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        headers.insert(ORIGIN, origin.parse().unwrap());
        answer(is_allowed, method, path, &headers).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_a_page_of_this_server_at_a_loopback_address_controls_it_and_only_where_that_is_allowed() {
        let drain = "/polliwog-demo/controls/drain";
        for (host, origin) in [
            ("127.0.0.1:8080", "http://evil.example"),
            ("127.0.0.1:8080", "http://127.0.0.1:8081"),
            ("127.0.0.1:8080", "null"),
            ("evil.example:8080", "http://evil.example:8080"),
            ("127.0.0.1.evil.example", "http://127.0.0.1.evil.example"),
        ] {
            assert_eq!(asked(true, &Method::POST, drain, host, origin), Some(403), "{host} {origin}");
        }
        for host in ["127.0.0.1:8080", "localhost", "[::1]:8080", "[::1]"] {
            let origin = format!("http://{host}");
            assert_eq!(asked(false, &Method::POST, drain, host, &origin), Some(403));
            // All but the last check: a signal would end the tests.
            assert_eq!(asked(true, &Method::GET, drain, host, &origin), Some(405), "{host}");
        }
    }

    #[test]
    fn the_page_is_told_what_it_may_do() {
        let none = HeaderMap::new();
        assert_eq!(answer(true, &Method::GET, PATH, &none), Some((StatusCode::OK, "drain kill")));
        assert_eq!(answer(false, &Method::GET, PATH, &none), Some((StatusCode::OK, "")));
        assert_eq!(answer(true, &Method::GET, "/polliwog-demo/controls/other", &none), None);
        assert_eq!(answer(true, &Method::GET, "/", &none), None);
    }
}
