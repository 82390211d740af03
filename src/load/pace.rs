//! When each message of a session is meant to be sent. Pure: numbers in, time out.

use std::time::Duration;

/// How fast a session sends.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Pace {
    rate: Rate,
    bursts: Bursts,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Rate {
    /// Once all earlier messages are answered.
    OnAnswer,
    /// This many per second, answered or not.
    PerSecond(f64),
    /// Nothing is sent.
    Idle,
}

/// How many messages are sent at once: each number in turn, over and over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bursts {
    /// The message at which each burst begins; at the end, where the first one begins again.
    starts: Vec<u64>,
}

impl Pace {
    /// `rate` messages a second; none is a closed loop, zero is silence.
    pub(super) fn new(rate: Option<f64>, bursts: Bursts) -> Self {
        let rate = match rate {
            None => Rate::OnAnswer,
            Some(rate) if rate > 0.0 => Rate::PerSecond(rate),
            Some(_) => Rate::Idle,
        };
        Self { rate, bursts }
    }

    /// Returns when message `number` is due, relative to a session's first; `None` if its time is not known in advance.
    pub(super) fn due(&self, number: u64) -> Option<Duration> {
        match self.rate {
            Rate::OnAnswer | Rate::Idle => None,
            Rate::PerSecond(rate) => Some(span(self.bursts.around(number).0, rate)),
        }
    }

    /// Returns the number behind the burst that `number` belongs to.
    pub(super) fn burst_end(&self, number: u64) -> u64 {
        self.bursts.around(number).1
    }

    /// Returns whether the next message waits for an answer.
    pub(super) fn goes_on_answer(&self) -> bool {
        self.rate == Rate::OnAnswer
    }

    /// From one burst to the next, on average; sessions are spread over it.
    pub(super) fn period(&self) -> Duration {
        match self.rate {
            Rate::OnAnswer | Rate::Idle => Duration::ZERO,
            Rate::PerSecond(rate) => span(self.bursts.len(), rate) / self.bursts.count(),
        }
    }
}

impl Bursts {
    /// Returns `None` if there is no size, or one is zero.
    pub(super) fn new(sizes: &[u32]) -> Option<Self> {
        if sizes.is_empty() || sizes.contains(&0) {
            return None;
        }
        let mut starts = vec![0];
        for &size in sizes {
            starts.push(starts[starts.len() - 1] + u64::from(size));
        }
        Some(Self { starts })
    }

    /// Returns where the burst of message `number` begins, and where the next one does.
    fn around(&self, number: u64) -> (u64, u64) {
        let (rounds, within) = (number / self.len(), number % self.len());
        let next = self.starts.partition_point(|&start| start <= within);
        let base = rounds * self.len();
        (base + self.starts[next - 1], base + self.starts[next])
    }

    /// Returns the largest size.
    pub(super) fn largest(&self) -> u64 {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(1)
    }

    /// Messages of one round.
    fn len(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }

    /// Bursts of one round.
    fn count(&self) -> u32 {
        u32::try_from(self.starts.len() - 1).unwrap_or(u32::MAX)
    }
}

/// Returns how long `count` messages take at `rate` a second.
#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 messages in one session")]
fn span(count: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(count as f64 / rate).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: Option<f64>, sizes: &[u32]) -> Pace {
        Pace::new(rate, Bursts::new(sizes).unwrap())
    }

    #[test]
    fn a_rate_gives_each_message_its_time() {
        let pace = pace(Some(4.0), &[1]);
        let due: Vec<u128> = (0..4).map(|number| pace.due(number).unwrap().as_millis()).collect();
        assert_eq!(due, [0, 250, 500, 750]);
        assert_eq!(pace.burst_end(7), 8);
        assert_eq!(pace.period(), Duration::from_millis(250));
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rate_stays() {
        let pace = pace(Some(10.0), &[1, 3]);
        let due: Vec<u128> = (0..9).map(|number| pace.due(number).unwrap().as_millis()).collect();
        assert_eq!(due, [0, 100, 100, 100, 400, 500, 500, 500, 800]);
        let ends: Vec<u64> = (0..6).map(|number| pace.burst_end(number)).collect();
        assert_eq!(ends, [1, 4, 4, 4, 5, 8]);
        assert_eq!(pace.period(), Duration::from_millis(200));
    }

    #[test]
    fn without_a_rate_the_answer_is_waited_for_and_a_rate_of_zero_is_silence() {
        assert!(pace(None, &[2]).goes_on_answer());
        assert!(!pace(Some(0.0), &[2]).goes_on_answer());
        for rate in [None, Some(0.0)] {
            assert_eq!(pace(rate, &[2]).due(0), None);
        }
    }

    #[test]
    fn a_burst_of_nothing_is_none() {
        assert_eq!(Bursts::new(&[]), None);
        assert_eq!(Bursts::new(&[1, 0]), None);
    }

    #[test]
    fn no_rate_however_slow_overflows() {
        assert_eq!(pace(Some(f64::MIN_POSITIVE), &[1]).due(u64::MAX - 1), Some(Duration::MAX));
    }
}
