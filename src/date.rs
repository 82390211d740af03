//! The `Date` header of our own responses (RFC 9110, section 6.6.1), formatted once a second in each thread.
//!
//! Hyper would add one too, but its cache only moves forward: after the clock was set back, it would name a time in the
//! future until the clock is there again. This one follows the clock in both directions.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, HeaderValue};

/// Dates a response, unless it has a date: that of a backend is kept.
pub fn set(headers: &mut HeaderMap) {
    headers.entry(DATE).or_insert_with(|| with(HeaderValue::clone));
}

/// Appends the date to a header that is being written.
pub fn extend(header: &mut Vec<u8>) {
    with(|date| header.extend_from_slice(date.as_bytes()));
}

/// Writes the current date over one that hyper wrote, which ends its line. All dates have the same length.
pub fn overwrite(line: &mut [u8]) {
    with(|date| {
        if line.get(LEN..).is_some_and(|end| end.starts_with(b"\r\n")) {
            line[..LEN].copy_from_slice(date.as_bytes());
        }
    });
}

fn with<T>(use_date: impl FnOnce(&HeaderValue) -> T) -> T {
    thread_local! {
        static FORMATTED: RefCell<Formatted> = const { RefCell::new(Formatted::NONE) };
    }
    FORMATTED.with_borrow_mut(|formatted| use_date(formatted.at(now())))
}

/// The last date that was formatted, and its second.
struct Formatted(u64, HeaderValue);

impl Formatted {
    const NONE: Self = Self(u64::MAX, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));

    fn at(&mut self, now: SystemTime) -> &HeaderValue {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // Not `>`: the clock may be set back.
        if self.0 != second
            && let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now.max(UNIX_EPOCH)))
        {
            *self = Self(second, date);
        }
        &self.1
    }
}

const LEN: usize = "Thu, 01 Jan 1970 00:00:00 GMT".len();

#[cfg(not(test))]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
pub(crate) use tests::{now, set_clock};

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    thread_local! {
        static CLOCK: Cell<Option<SystemTime>> = const { Cell::new(None) };
    }

    /// Sets the clock of this thread's dates to as many seconds after 1970.
    pub(crate) fn set_clock(seconds: u64) {
        CLOCK.set(Some(UNIX_EPOCH + Duration::from_secs(seconds)));
    }

    pub(crate) fn now() -> SystemTime {
        CLOCK.get().unwrap_or_else(SystemTime::now)
    }

    fn dated() -> String {
        let mut date = Vec::new();
        extend(&mut date);
        String::from_utf8(date).unwrap()
    }

    #[test]
    fn a_date_follows_the_clock_in_both_directions() {
        for (seconds, expected) in [
            (86_400, "Fri, 02 Jan 1970 00:00:00 GMT"),
            (86_401, "Fri, 02 Jan 1970 00:00:01 GMT"),
            (86_401, "Fri, 02 Jan 1970 00:00:01 GMT"),
            (2_000_000_000, "Wed, 18 May 2033 03:33:20 GMT"),
            (1, "Thu, 01 Jan 1970 00:00:01 GMT"),
        ] {
            set_clock(seconds);
            assert_eq!(dated(), expected);
        }
        CLOCK.set(Some(UNIX_EPOCH - Duration::from_secs(5)));
        assert_eq!(dated(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_date_that_is_there_is_kept() {
        let mut headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static("the backend's"))]);
        set(&mut headers);
        assert_eq!(headers.get_all(DATE).iter().collect::<Vec<_>>(), ["the backend's"]);
    }

    #[test]
    fn only_a_date_is_overwritten() {
        set_clock(1);
        let mut line = *b"Mon, 02 Jan 1984 00:00:00 GMT\r\n\r\n";
        overwrite(&mut line);
        assert_eq!(line, *b"Thu, 01 Jan 1970 00:00:01 GMT\r\n\r\n");
        let mut line = *b"soon\r\n\r\n";
        overwrite(&mut line);
        assert_eq!(line, *b"soon\r\n\r\n");
    }
}
