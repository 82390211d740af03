//! The formats in which a client receives messages and sends one.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::dialect::PushForm;
use crate::hop;

/// The format in which a client receives messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// One JSON object with all available messages.
    Json,
    /// One JSON object per line, as messages arrive.
    Lines,
    /// The events of an `EventSource`.
    Events,
}

impl Form {
    /// Returns the first supported format in `Accept`, or JSON if there is none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = hop::list(headers, &ACCEPT).find_map(|one| match bare(one).as_slice() {
            b"text/event-stream" => Some(Self::Events),
            b"application/x-ndjson" | b"application/ndjson" => Some(Self::Lines),
            b"application/json" => Some(Self::Json),
            _ => None,
        });
        named.unwrap_or(Self::Json)
    }

    /// Returns its content type.
    pub(super) const fn content_type(self) -> HeaderValue {
        match self {
            Self::Json => const { HeaderValue::from_static("application/json") },
            Self::Lines => const { HeaderValue::from_static("application/x-ndjson") },
            Self::Events => const { HeaderValue::from_static("text/event-stream") },
        }
    }
}

/// Returns how to read a POST's body, by its content type; `None` if that type is not supported.
pub(super) fn of_push(headers: &HeaderMap) -> Option<PushForm> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Some(PushForm::Text) };
    match bare(kind.as_bytes()).as_slice() {
        b"application/octet-stream" => Some(PushForm::Binary),
        // The default of `curl -d` and of HTML forms.
        b"" | b"application/json" | b"application/x-www-form-urlencoded" | b"multipart/form-data" => {
            Some(PushForm::Text)
        }
        text if text.starts_with(b"text/") || text.ends_with(b"+json") => Some(PushForm::Text),
        _ => None,
    }
}

/// Returns a type without its parameters, in lower case.
fn bare(kind: &[u8]) -> Vec<u8> {
    let end = memchr::memchr(b';', kind).unwrap_or(kind.len());
    kind[..end].trim_ascii().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_first_form_that_is_accepted_counts_and_json_is_for_everybody() {
        for (accept, form) in [
            ("*/*", Form::Json),
            ("", Form::Json),
            ("text/html, application/xhtml+xml", Form::Json),
            ("text/event-stream", Form::Events),
            ("Text/Event-Stream;q=0.9, */*", Form::Events),
            ("application/x-ndjson, text/event-stream", Form::Lines),
            ("application/json, text/event-stream", Form::Json),
        ] {
            assert_eq!(Form::of(&headers(ACCEPT, accept)), form, "{accept}");
        }
        assert_eq!(Form::of(&HeaderMap::new()), Form::Json);
    }

    #[test]
    fn a_posts_type_says_whether_it_is_text() {
        assert_eq!(of_push(&HeaderMap::new()), Some(PushForm::Text));
        for (kind, form) in [
            ("text/plain;charset=UTF-8", Some(PushForm::Text)),
            ("application/json", Some(PushForm::Text)),
            ("application/activity+json", Some(PushForm::Text)),
            ("application/x-www-form-urlencoded", Some(PushForm::Text)),
            ("multipart/form-data; boundary=x", Some(PushForm::Text)),
            ("Application/Octet-Stream", Some(PushForm::Binary)),
            ("image/png", None),
            ("application/grpc", None),
        ] {
            assert_eq!(of_push(&headers(CONTENT_TYPE, kind)), form, "{kind}");
        }
    }
}
