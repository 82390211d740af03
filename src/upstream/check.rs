//! How an upstream's addresses are checked (`[upstreams.NAME.check]`): each by a request of its own, again and again.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::StatusCode;
use http::uri::PathAndQuery;

/// The checks of an upstream's addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// What is asked.
    pub by: CheckBy,
    /// The time from one check of an address to its next.
    pub interval: Duration,
    /// Longest wait for the answer, the connection included.
    pub timeout: Duration,
    /// The statuses that pass, if a path is asked for.
    pub expect: Statuses,
    /// How many checks in a row an address has to pass to be used again.
    pub rise: usize,
    /// How many checks in a row an address has to fail to be left out.
    pub fall: usize,
}

/// What a check asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckBy {
    /// This path, by GET.
    Path(PathAndQuery),
    /// A WebSocket, as clients do; it is closed again.
    WebSocket,
}

impl Check {
    /// Returns the checks with the defaults of all other keys.
    pub fn new(by: CheckBy) -> Self {
        Self {
            by,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            expect: Statuses::default(),
            rise: 2,
            fall: 3,
        }
    }
}

/// A set of statuses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// Reads statuses and ranges with commas in between, such as `200-299, 404`.
    pub fn parse(text: &str) -> Option<Self> {
        let status = |text: &str| {
            let status = text.trim().parse().ok()?;
            (text.trim().len() == 3 && (200..600).contains(&status)).then_some(status)
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let range = status(first)?..=status(last)?;
            (!range.is_empty()).then_some(range)
        };
        text.split(',').map(range).collect::<Option<_>>().map(Self)
    }

    /// Returns whether this status is one of them.
    pub fn has(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(&status.as_u16()))
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200..=399])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_listed_alone_and_as_ranges() {
        let has =
            |text: &str, status| Statuses::parse(text).unwrap().has(StatusCode::from_u16(status).unwrap());
        assert!(has("200", 200) && !has("200", 201));
        assert!(has("200-299, 404", 250) && has("200-299, 404", 404) && !has("200-299,404", 403));
        assert!(has("200-200", 200) && has("599", 599));
        for text in ["", "200,", "2xx", "300-200", "100", "600", "0200", "+20", "200-", "-200", "200 204"] {
            assert_eq!(Statuses::parse(text), None, "{text}");
        }
        assert_eq!(Statuses::parse("200-399"), Some(Statuses::default()));
    }
}
