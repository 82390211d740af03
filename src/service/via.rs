//! `Via` (RFC 9110, section 7.6.3): the proxies that a request has passed through, so that a loop is noticed.

use http::header::{HeaderMap, HeaderValue, VIA};
use http::{StatusCode, Version};

use super::Response;
use super::refusals::{Reason, Refusals};
use super::replies::plain;
use crate::hop;

/// The name of this process. It is new at each start, so that two proxies in a row are not taken for a loop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Via(String);

impl Via {
    /// Creates a unique name.
    ///
    /// # Errors
    /// The system's random source failed.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self(format!("{PRODUCT}{:016x}", getrandom::u64()?)))
    }

    /// Returns whether a request has passed through this process before, or through more processes of this kind than
    /// anyone would chain.
    pub(super) fn is_circle(&self, headers: &HeaderMap) -> bool {
        let ours = |member: &&[u8]| received_by(member).starts_with(PRODUCT.as_bytes());
        headers.contains_key(VIA)
            && (hop::list(headers, &VIA).any(|member| received_by(member) == self.0.as_bytes())
                || hop::list(headers, &VIA).filter(ours).count() > IN_A_ROW_MAX)
    }

    /// Returns the response to a request in a loop, and counts the refusal. Only requests that are passed on are
    /// checked: one that stays here, such as a poll of a session, is in no loop.
    pub(super) fn refuse_circle(&self, headers: &HeaderMap, refusals: &Refusals) -> Option<Response> {
        self.is_circle(headers).then(|| {
            refusals.note(Reason::Circle);
            plain(StatusCode::LOOP_DETECTED, CIRCLE)
        })
    }

    /// Adds this process after those that came before.
    pub(super) fn add(&self, headers: &mut HeaderMap, version: Version) {
        let protocol = match version {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2.0",
            _ => "1.1",
        };
        if let Ok(member) = HeaderValue::try_from(format!("{protocol} {}", self.0)) {
            headers.append(VIA, member);
        }
    }
}

/// Returns the recipient in a member such as `1.1 name (comment)`.
fn received_by(member: &[u8]) -> &[u8] {
    member.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(1).unwrap_or_default()
}

/// The response to a looping request.
pub(super) const CIRCLE: &str = "request loop detected\n";
const PRODUCT: &str = "polliwog-";
/// More than any real chain of proxies has; a loop in which no member knows its own name ends here.
const IN_A_ROW_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_known_by_the_own_name_or_by_too_many_of_the_kind() {
        let via = Via::new().unwrap();
        let circle = |lines: &[String]| {
            via.is_circle(&lines.iter().map(|line| (VIA, HeaderValue::try_from(line).unwrap())).collect())
        };
        assert!(!circle(&[]));
        assert!(!circle(&["1.1 nginx, 1.0 fred (polliwog-x)".to_owned()]));
        assert!(circle(&[format!("1.1 nginx, 1.1  {} (it)", via.0)]));
        assert!(circle(&["1.1 a".to_owned(), format!("HTTP/1.1 {}", via.0)]));
        let other = || format!("1.1 polliwog-{}", 7);
        assert!(!circle(&vec![other(); 8]));
        assert!(circle(&vec![other(); 9]));
        assert!(circle(&[vec![other(); 9].join(",")]));
        assert_ne!(Via::new().unwrap(), via);
    }

    #[test]
    fn those_before_stay_in_front() {
        let via = Via("polliwog-1".to_owned());
        let mut headers = HeaderMap::from_iter([(VIA, HeaderValue::from_static("1.1 nginx"))]);
        via.add(&mut headers, Version::HTTP_10);
        assert_eq!(headers.get_all(VIA).iter().collect::<Vec<_>>(), ["1.1 nginx", "1.0 polliwog-1"]);
    }
}
