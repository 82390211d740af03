//! What a request with a large header takes of the budget, among the request's extensions: so it counts as long as the
//! header is kept, and no longer.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, Version};

use crate::budget::{Budget, Charge};

/// What a large header takes. Clones share it.
#[derive(Clone)]
pub struct LargeHead(Arc<Counted>);

struct Counted {
    charge: Charge,
    /// What one copy takes.
    len: usize,
    /// How many copies there are.
    copies: usize,
}

impl LargeHead {
    /// Returns what a header of `len` bytes takes, if that is much: a usual one costs nothing but this.
    pub fn judge(head: &Parts, len: usize) -> Option<usize> {
        Some(len + head.headers.len() * LINE_LEN).filter(|len| *len > LARGE_LEN)
    }

    /// Counts a request's header, one copy of which takes `len` bytes.
    pub fn count(head: &mut Parts, len: usize, budget: &Budget) {
        let counted = Counted { charge: budget.charge(), len, copies: 0 };
        head.extensions.insert(Self(Arc::new(counted)));
        Self::copy(head, 1);
    }

    /// Notes that a request's header is kept so many times more; of HTTP/1.1 also its bytes are.
    pub fn copy(head: &mut Parts, times: usize) {
        let times = if head.version == Version::HTTP_2 { times } else { times + 1 };
        let counted = head.extensions.get_mut::<Self>().and_then(|held| Arc::get_mut(&mut held.0));
        if let Some(counted) = counted {
            counted.copies += times;
            counted.charge.set(counted.copies * counted.len);
        }
    }

    /// Returns what the header takes of a request with these extensions, for something made of it that is kept for longer.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }
}

impl fmt::Debug for LargeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LargeHead({} times {})", self.0.copies, self.0.len)
    }
}

/// A parsed header takes so much for each line besides its bytes.
const LINE_LEN: usize = 128;
/// Less is what a connection reads at once, and about what each request takes anyhow.
const LARGE_LEN: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn head(version: Version, lines: usize) -> Parts {
        let mut request = Request::new(());
        *request.version_mut() = version;
        for _ in 0..lines {
            request.headers_mut().append("x", HeaderValue::from_static("y"));
        }
        request.into_parts().0
    }

    #[test]
    fn a_header_is_large_by_its_bytes_or_its_lines() {
        for (lines, len, expected) in [
            (0, 8192, None),
            (0, 8193, Some(8193)),
            (20, 5000, None),
            (20, 6000, Some(8560)),
            (64, 0, None),
            (500, 1500, Some(65_500)),
        ] {
            assert_eq!(LargeHead::judge(&head(Version::HTTP_11, lines), len), expected, "{lines} {len}");
        }
    }

    #[test]
    fn each_copy_counts_until_the_last_is_dropped() {
        let budget = Budget::new(Some(1 << 20));
        for (version, counts) in [(Version::HTTP_2, [1000, 3000]), (Version::HTTP_11, [2000, 5000])] {
            let mut head = head(version, 0);
            LargeHead::copy(&mut head, 2);
            assert_eq!(budget.used(), 0, "none is counted");
            LargeHead::count(&mut head, 1000, &budget);
            assert_eq!(budget.used(), counts[0]);
            LargeHead::copy(&mut head, 2);
            assert_eq!(budget.used(), counts[1]);
            let kept = LargeHead::of(&head.extensions);
            drop(head);
            assert_eq!(budget.used(), counts[1]);
            drop(kept);
            assert_eq!(budget.used(), 0);
        }
    }
}
