//! What requests are marked with, for those who follow one through several processes: a request id, and a trace.

use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::access_log::{Request, Traced};
use crate::spans::Spans;
use crate::trace_context::TraceContext;

/// What requests are marked with, for their backends and for the access log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// Whether each has an `X-Request-Id`: a trusted proxy's, or one that is made.
    pub request_id: bool,
    /// Whether each has a `traceparent`: its client's trace continued, or one that begins.
    pub trace: bool,
    /// Of how many traces whose sampling is decided here one is sampled; 0 samples none.
    pub sampled_one_in: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self { request_id: false, trace: false, sampled_one_in: 1 }
    }
}

impl Marks {
    /// Returns whether requests have any.
    pub(super) const fn are_wanted(self) -> bool {
        self.request_id || self.trace
    }

    /// Marks a request, and notes its marks for its line and for its span, which goes to `spans`. `is_trusted` is whether a
    /// trusted proxy has sent it.
    pub(super) fn mark(self, head: &mut Parts, spans: Option<&Spans>, is_trusted: impl FnOnce() -> bool) {
        let is_trusted = is_trusted();
        // Without random bytes, it goes unmarked.
        let id = if self.request_id { mark_id(&mut head.headers, is_trusted) } else { None };
        let trace = if self.trace { self.mark_trace(&mut head.headers, is_trusted) } else { None };
        if let Some(request) = Request::of(&head.extensions) {
            let trace = trace.map(|(context, parent)| Traced { context, parent, spans: spans.cloned() });
            request.mark(id, trace);
        }
    }

    /// Continues a request's trace, or begins one; returns it with the span that the request came from. The trace may be anybody's; whether it is recorded only a trusted proxy says.
    fn mark_trace(self, headers: &mut HeaderMap, is_trusted: bool) -> Option<(TraceContext, Option<u64>)> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let came = values.next().and_then(|value| TraceContext::parse(value.as_bytes()));
        let came = came.filter(|_| values.next().is_none());
        let span = getrandom::u64().ok()?.max(1);
        let is_sampled = match came {
            Some(came) if is_trusted => came.is_sampled,
            Some(_) | None => self.samples(span),
        };
        let trace = if let Some(came) = came {
            came.trace
        } else {
            // It was about another trace.
            headers.remove(TRACESTATE);
            u128::from(getrandom::u64().ok()?) << 64 | u128::from(getrandom::u64().ok()?.max(1))
        };
        let ours = TraceContext { trace, span, is_sampled };
        headers.insert(TRACEPARENT, HeaderValue::try_from(ours.to_string()).ok()?);
        Some((ours, came.map(|came| came.span)))
    }

    fn samples(self, random: u64) -> bool {
        (random >> 1).checked_rem(self.sampled_one_in as u64) == Some(0)
    }
}

/// Keeps a request's id if a trusted proxy has given it one, and makes it one otherwise.
fn mark_id(headers: &mut HeaderMap, is_trusted: bool) -> Option<String> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let came = values.next().and_then(|value| value.to_str().ok());
    let came = came.filter(|came| is_trusted && (1..=ID_LEN_MAX).contains(&came.len()));
    if let Some(came) = came.filter(|_| values.next().is_none()) {
        return Some(came.to_owned());
    }
    let made = format!("{:016x}{:016x}", getrandom::u64().ok()?, getrandom::u64().ok()?);
    headers.insert(X_REQUEST_ID, HeaderValue::try_from(&made).ok()?);
    Some(made)
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The longest request id that is kept.
const ID_LEN_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    const CAME: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn marked(marks: Marks, is_trusted: bool, lines: &[(&'static str, &str)]) -> HeaderMap {
        let (mut head, ()) = http::Request::new(()).into_parts();
        for (name, value) in lines {
            head.headers.append(*name, value.parse().unwrap());
        }
        marks.mark(&mut head, None, || is_trusted);
        head.headers
    }

    fn trace(headers: &HeaderMap) -> TraceContext {
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
        TraceContext::parse(headers[TRACEPARENT].as_bytes()).unwrap()
    }

    const BOTH: Marks = Marks { request_id: true, trace: true, sampled_one_in: 1 };

    #[test]
    fn nothing_is_marked_unless_that_is_wanted() {
        let lines = [("x-request-id", "theirs"), ("traceparent", CAME), ("tracestate", "a=b")];
        let headers = marked(Marks::default(), false, &lines);
        assert_eq!(headers.len(), 3);
        assert_eq!(
            (&headers["x-request-id"], &headers["traceparent"]),
            (&"theirs".parse().unwrap(), &CAME.parse().unwrap())
        );
    }

    #[test]
    fn the_id_of_a_trusted_proxy_is_kept_and_any_other_is_replaced() {
        let id = |is_trusted, lines: &[(&'static str, &str)]| {
            let headers = marked(BOTH, is_trusted, lines);
            assert_eq!(headers.get_all(X_REQUEST_ID).iter().count(), 1);
            headers[X_REQUEST_ID].to_str().unwrap().to_owned()
        };
        assert_eq!(id(true, &[("x-request-id", "theirs")]), "theirs");
        let long = "x".repeat(129);
        let twice = [("x-request-id", "theirs"), ("x-request-id", "theirs")];
        for (is_trusted, lines) in [
            (false, &[("x-request-id", "theirs")][..]),
            (true, &[]),
            (true, &[("x-request-id", "")]),
            (true, &[("x-request-id", &long)]),
            (true, &twice),
        ] {
            let made = id(is_trusted, lines);
            assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
            assert_ne!(made, id(is_trusted, lines));
        }
    }

    #[test]
    fn a_trace_is_continued_by_a_span_of_our_own() {
        let came = TraceContext::parse(CAME.as_bytes()).unwrap();
        for is_trusted in [false, true] {
            let headers = marked(BOTH, is_trusted, &[("traceparent", CAME), ("tracestate", "a=b")]);
            let ours = trace(&headers);
            assert_eq!(ours.trace, came.trace);
            assert_ne!(ours.span, came.span);
            assert_eq!(headers[TRACESTATE], "a=b");
        }
    }

    #[test]
    fn a_trace_begins_where_there_is_none_that_is_valid() {
        let twice = [("traceparent", CAME), ("traceparent", CAME), ("tracestate", "a=b")];
        for lines in [&[][..], &[("traceparent", "00-0-0-00"), ("tracestate", "a=b")], &twice] {
            let headers = marked(BOTH, true, lines);
            assert_ne!(trace(&headers).trace, TraceContext::parse(CAME.as_bytes()).unwrap().trace);
            assert!(!headers.contains_key(TRACESTATE));
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_whether_a_trace_is_sampled() {
        let none = Marks { sampled_one_in: 0, ..BOTH };
        let unsampled = CAME.replace("-01", "-00");
        for (marks, is_trusted, value, is_sampled) in [
            (none, true, CAME, true),
            (none, false, CAME, false),
            (BOTH, true, &unsampled, false),
            (BOTH, false, &unsampled, true),
        ] {
            assert_eq!(
                trace(&marked(marks, is_trusted, &[("traceparent", value)])).is_sampled,
                is_sampled,
                "{value}"
            );
        }
        assert!(!trace(&marked(none, true, &[])).is_sampled);
        let tenth = Marks { sampled_one_in: 10, ..BOTH };
        let sampled = (0..2_000).filter(|_| trace(&marked(tenth, false, &[])).is_sampled).count();
        assert!((100..=320).contains(&sampled), "{sampled} of 2,000");
    }
}
