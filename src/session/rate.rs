//! How fast a client may send: messages and bytes a second, of one session.

use std::time::Duration;

/// What a client may send in a second, once that much has come at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Messages; `None` is no limit.
    pub messages: Option<u32>,
    /// Payload bytes of messages; `None` is no limit.
    pub bytes: Option<u32>,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self { messages: None, bytes: None };
    /// How much may come at once: what comes in this time.
    pub const DEPTH: Duration = Duration::from_secs(1);

    /// Returns the price of messages for a [`Bucket`](crate::bucket::Bucket): the time in which as many, or as much, may
    /// come, whichever is longer.
    pub fn price(self, messages: u64, bytes: u64) -> Duration {
        let nanos = |count: u64, per_second: Option<u32>| {
            per_second.map_or(0, |rate| count.saturating_mul(NANOS) / u64::from(rate.max(1)))
        };
        Duration::from_nanos(nanos(messages, self.messages).max(nanos(bytes, self.bytes)))
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self { messages: Some(10_000), bytes: Some(100_000_000) }
    }
}

const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_is_that_of_the_number_or_of_the_size() {
        let rate = Rate { messages: Some(10), bytes: Some(1000) };
        for (messages, bytes, ms) in [(1, 0, 100), (1, 100, 100), (1, 500, 500), (20, 500, 2000), (0, 0, 0)] {
            assert_eq!(rate.price(messages, bytes), Duration::from_millis(ms));
        }
        assert_eq!(Rate::NONE.price(u64::MAX, u64::MAX), Duration::ZERO);
        assert_eq!(Rate { bytes: Some(1000), ..Rate::NONE }.price(5, 1), Duration::from_millis(1));
        // The largest message that is ever held.
        assert_eq!(Rate { bytes: Some(1), ..Rate::NONE }.price(1, 1_000_000_000).as_secs(), 1_000_000_000);
    }
}
