//! The parameters of a request: the numbers in its query, and the position of an `EventSource`.

use std::time::Duration;

use http::HeaderMap;

/// The numbers in a query. Unknown keys are ignored; if a key is repeated, the last one counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Query {
    /// The last message that the client acknowledges.
    pub(super) after: Option<u64>,
    /// How long the request waits.
    pub(super) wait: Option<Duration>,
    /// The maximum number of messages in the response.
    pub(super) max: Option<usize>,
    /// The maximum length of the response in bytes.
    pub(super) bytes: Option<usize>,
    /// The number of the message that the client sends.
    pub(super) id: Option<u64>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// Returns what is wrong.
    #[cfg(test)]
    pub(super) fn parse(query: &str) -> Result<Self, &'static str> {
        Self::parse_except(None, query)
    }

    /// Reads a request: its query, and `Last-Event-ID`, besides which `after` means nothing.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub(super) fn of(query: &str, headers: &HeaderMap) -> Result<Self, &'static str> {
        let resumes = headers.get(LAST_EVENT_ID).is_some_and(|id| !id.is_empty());
        Self::parse_except(resumes.then_some("after"), query)?.resumed(headers)
    }

    /// Reads a query without one of its keys.
    fn parse_except(ignored: Option<&str>, query: &str) -> Result<Self, &'static str> {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                _ if ignored == Some(key) => {}
                "after" => found.after = Some(number(value).ok_or("after is not a number")?),
                "wait" => found.wait = Some(seconds(value).ok_or("wait is not a number of seconds")?),
                "max" => found.max = Some(limit(value).ok_or("max is not a number from 1")?),
                "bytes" => found.bytes = Some(limit(value).ok_or("bytes is not a number from 1")?),
                "id" => {
                    let id = number(value).filter(|id| *id > 0);
                    found.id = Some(id.ok_or("id is not a number from 1")?);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Returns the query with the id in `Last-Event-ID` as its cursor. A browser repeats the URL for as long as its
    /// page lives, and the header has its current position.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub(super) fn resumed(self, headers: &HeaderMap) -> Result<Self, &'static str> {
        match headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
            None => Ok(self),
            Some(id) => {
                let after = id.to_str().ok().and_then(number);
                Ok(Self { after: Some(after.ok_or("Last-Event-ID is not a number")?), ..self })
            }
        }
    }
}

/// Parses digits and nothing else.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Parses a limit that is greater than zero.
fn limit(text: &str) -> Option<usize> {
    number(text).filter(|limit| *limit > 0).map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Parses digits with an optional fraction. Anything longer than a day counts as a day.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let (whole, _) = (number(whole)?, number(fraction)?);
    let seconds: f64 = text.parse().ok()?;
    if whole < DAY { Duration::try_from_secs_f64(seconds).ok() } else { Some(Duration::from_secs(DAY)) }
}

const LAST_EVENT_ID: &str = "last-event-id";
const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_querys_numbers_are_read_and_the_rest_is_the_clients_own() {
        let all = Query::parse("after=7&wait=2.5&x=1&max=10&bytes=1000&id=3&&_=a%20b").unwrap();
        let wait = Some(Duration::from_millis(2500));
        let expected = Query { after: Some(7), wait, max: Some(10), bytes: Some(1000), id: Some(3) };
        assert_eq!(all, expected);
        assert_eq!(Query::parse(""), Ok(Query::default()));
        assert_eq!(Query::parse("after=1&after=2").unwrap().after, Some(2));
        assert_eq!(Query::parse("wait=0").unwrap().wait, Some(Duration::ZERO));
        assert_eq!(
            Query::parse("wait=99999999999999999999"),
            Err("wait is not a number of seconds"),
            "more than a number holds"
        );
        assert_eq!(Query::parse("wait=9999999999999").unwrap().wait, Some(Duration::from_hours(24)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["after=", "after", "after=-1", "after=+1", "after=1.0", "after=1%30", "after=x"] {
            assert_eq!(Query::parse(text), Err("after is not a number"), "{text}");
        }
        for text in ["wait=", "wait=.", "wait=1.", "wait=.5", "wait=-1", "wait=1e3", "wait=inf", "wait=NaN"] {
            assert_eq!(Query::parse(text), Err("wait is not a number of seconds"), "{text}");
        }
        for text in ["id=0", "max=0", "bytes=0", "id=18446744073709551616"] {
            assert!(Query::parse(text).unwrap_err().ends_with("is not a number from 1"), "{text}");
        }
    }

    #[test]
    fn the_last_event_counts_more_than_the_url() {
        let query = Query::parse("after=1").unwrap();
        let resumed = |id: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(LAST_EVENT_ID),
                HeaderValue::from_static(id),
            )]);
            query.resumed(&headers).map(|query| query.after)
        };
        assert_eq!(resumed("7"), Ok(Some(7)));
        assert_eq!(resumed(""), Ok(Some(1)));
        assert_eq!(resumed("a"), Err("Last-Event-ID is not a number"));
        assert_eq!(query.resumed(&HeaderMap::new()).unwrap().after, Some(1));
    }

    #[test]
    fn beside_a_last_event_the_cursor_of_the_url_is_not_read() {
        let last = |id: &'static str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(LAST_EVENT_ID),
                HeaderValue::from_static(id),
            )])
        };
        assert_eq!(Query::of("after=abc&max=2", &last("7")).map(|query| query.after), Ok(Some(7)));
        assert_eq!(Query::of("after=abc", &last("")), Err("after is not a number"));
        assert_eq!(Query::of("after=1&max=x", &last("7")), Err("max is not a number from 1"));
        assert_eq!(Query::of("after=1", &last("x")), Err("Last-Event-ID is not a number"));
    }
}
