//! When a certificate is ordered. Pure: the time and chance are passed in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::tls::Validity;

/// The attempts to order a certificate since the last that succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Attempts {
    /// How many have failed.
    pub(super) failures: u32,
    /// When the last of them failed, in seconds since 1970.
    last: u64,
    /// How many seconds to wait after it.
    pause: u64,
}

/// Why an attempt failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// The ACME server could not be asked; or what it sent could not be kept.
    Unreached,
    /// It refused, which counts against its limits.
    Refused,
}

impl Attempts {
    /// Returns when to order: once two thirds of the life of the certificate are over, or at once if there is none, but not
    /// before a pause is over. `chance` is from 0 to 1, so that not all orders of the world come at once.
    pub(super) fn due(&self, validity: Option<Validity>, now: SystemTime, chance: f64) -> SystemTime {
        let renewal = validity.map_or(UNIX_EPOCH, |Validity { begin, end }| {
            let life = end.duration_since(begin).unwrap_or_default();
            begin + life.mul_f64(2.0 / 3.0 - chance / 20.0)
        });
        if self.failures == 0 {
            return renewal;
        }
        // The clock may have been set back.
        let last = (UNIX_EPOCH + Duration::from_secs(self.last)).min(now);
        renewal.max(last + Duration::from_secs(self.pause))
    }

    /// Returns them with one more that failed. `asked` is how long the server wants to be left alone.
    pub(super) fn failed(
        self,
        failure: Failure,
        asked: Option<Duration>,
        now: SystemTime,
        chance: f64,
    ) -> Self {
        let (first, max) = match failure {
            Failure::Unreached => (Duration::from_secs(10), HOUR),
            Failure::Refused => (Duration::from_mins(1), 6 * HOUR),
        };
        let pause = first.saturating_mul(3_u32.saturating_pow(self.failures)).min(max);
        let pause = pause.mul_f64(0.8 + chance * 0.4).max(asked.unwrap_or_default().min(24 * HOUR));
        let last = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { failures: self.failures.saturating_add(1), last: last.as_secs(), pause: pause.as_secs() }
    }

    /// Returns them once a certificate was issued: none, unless it is due for its renewal already, by a clock that is wrong or
    /// a very short life. Then its order counts as one that failed, so that they don't follow each other without end.
    pub(super) fn issued(self, validity: Validity, now: SystemTime, chance: f64) -> Self {
        let none = Self::default();
        if none.due(Some(validity), now, chance) > now {
            return none;
        }
        self.failed(Failure::Refused, None, now, chance)
    }

    /// Returns them with a pause that is short, for an operator who has just changed something. It does not get shorter by
    /// asking often.
    pub(super) fn hurried(self) -> Self {
        Self { pause: self.pause.min(HURRIED.as_secs()), ..self }
    }

    /// Returns whether the others have failed again since the last of these.
    pub(super) const fn are_before(&self, others: Self) -> bool {
        self.last < others.last
    }

    /// Returns the pause after the last.
    pub(super) fn pause(&self) -> Duration {
        Duration::from_secs(self.pause)
    }

    /// Returns them as the text of a file.
    pub(super) fn to_text(self) -> String {
        format!("{} {} {}\n", self.failures, self.last, self.pause)
    }

    /// Reads them from the text of a file, if that is what it holds.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace();
        let failures = numbers.next()?.parse().ok()?;
        let (last, pause) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let is_sound = numbers.next().is_none() && pause <= 24 * HOUR.as_secs();
        Some(Self { failures, last, pause }).filter(|_| is_sound)
    }
}

const HOUR: Duration = Duration::from_hours(1);
/// Let's Encrypt, for one, takes five failures an hour.
const HURRIED: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn start() -> SystemTime {
        UNIX_EPOCH + 20_000 * DAY
    }

    /// A certificate of so many days.
    fn of(days: u32) -> Validity {
        Validity { begin: start(), end: start() + days * DAY }
    }

    #[test]
    fn certificates_that_are_due_at_once_are_ordered_ever_more_seldom() {
        assert_eq!(Attempts::default().issued(of(90), start() + DAY, 0.5), Attempts::default());
        let (mut attempts, mut now) = (Attempts::default(), start() + 80 * DAY);
        for minutes in [1, 3, 9, 27] {
            attempts = attempts.issued(of(90), now, 0.5);
            assert_eq!(attempts.due(Some(of(90)), now, 0.5), now + Duration::from_mins(minutes));
            now += Duration::from_mins(minutes);
        }
        assert_eq!(attempts.issued(of(365), now, 0.5), Attempts::default());
    }

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
        let attempts = Attempts::default();
        assert!(attempts.due(None, start(), 0.5) <= start());
        let days = |validity, chance| {
            let due = attempts.due(Some(validity), start(), chance).duration_since(start()).unwrap();
            due.as_secs_f64() / DAY.as_secs_f64()
        };
        assert!((59.9..60.1).contains(&days(of(90), 0.0)));
        assert!((55.4..55.6).contains(&days(of(90), 1.0)));
        assert!((3.9..4.1).contains(&days(of(6), 0.0)));
        // An expired one at once.
        assert!(attempts.due(Some(of(90)), start() + 91 * DAY, 0.0) < start() + 91 * DAY);
    }

    #[test]
    fn what_another_process_has_kept_counts_unless_it_is_older() {
        let failed = |attempts: Attempts, now| attempts.failed(Failure::Unreached, None, now, 0.5);
        let first = failed(Attempts::default(), start());
        let second = failed(first, start() + DAY);
        assert!(first.are_before(second) && Attempts::default().are_before(first));
        // As they are read again, with a pause that an operator has made shorter.
        assert!(!second.are_before(first) && !first.hurried().are_before(first));
        assert!(!first.are_before(Attempts::default()), "none since a certificate was issued");
    }

    /// Returns after how many seconds each attempt of a day comes if all fail.
    fn day_of(failure: Failure, chance: f64) -> Vec<u64> {
        let (mut now, mut attempts, mut all) = (start(), Attempts::default(), Vec::new());
        while now < start() + DAY {
            all.push(now.duration_since(start()).unwrap().as_secs());
            attempts = attempts.failed(failure, None, now, chance);
            let due = attempts.due(None, now, chance);
            assert!(due >= now + Duration::from_secs(8));
            now = due;
        }
        all
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_pauses() {
        assert_eq!(day_of(Failure::Unreached, 0.5)[..6], [0, 10, 40, 130, 400, 1210]);
        assert!(day_of(Failure::Unreached, 0.5).len() <= 6 + 24);
        assert_eq!(day_of(Failure::Refused, 0.5)[..6], [0, 60, 240, 780, 2400, 7260]);
        for chance in [0.0, 0.5, 1.0] {
            let refused = day_of(Failure::Refused, chance);
            assert!(refused.iter().filter(|second| **second < 3600).count() <= 5, "{refused:?}");
            assert!(refused.len() <= 11, "{refused:?}");
        }
    }

    #[test]
    fn the_old_certificate_does_not_hasten_what_fails() {
        let now = start() + 60 * DAY;
        let attempts = Attempts::default().failed(Failure::Refused, None, now, 0.5);
        assert_eq!(attempts.due(Some(of(90)), now, 0.5), now + Duration::from_mins(1));
        // And a renewed one is not due again, whatever is left of attempts.
        let fresh = Validity { begin: now, end: now + 90 * DAY };
        assert!(attempts.due(Some(fresh), now, 0.5) > now + 50 * DAY);
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it_within_a_day() {
        let after = |asked| {
            let attempts = Attempts::default().failed(Failure::Refused, Some(asked), start(), 0.5);
            attempts.due(None, start(), 0.5).duration_since(start()).unwrap()
        };
        assert_eq!(after(2 * HOUR), 2 * HOUR);
        assert_eq!(after(Duration::from_secs(1)), Duration::from_mins(1));
        assert_eq!(after(1000 * DAY), DAY);
    }

    #[test]
    fn a_reload_hurries_but_not_more_often_than_once_a_minute() {
        let mut attempts = Attempts::default();
        for _ in 0..9 {
            attempts = attempts.failed(Failure::Refused, None, start(), 0.5);
        }
        assert_eq!(attempts.due(None, start(), 0.5), start() + 6 * HOUR);
        let hurried = attempts.hurried();
        assert_eq!(hurried.due(None, start(), 0.5), start() + HURRIED);
        assert_eq!(hurried.hurried(), hurried);
        // What fails again waits as long as before.
        let again = hurried.failed(Failure::Refused, None, start(), 0.5);
        assert_eq!(again.due(None, start(), 0.5), start() + 6 * HOUR);
    }

    #[test]
    fn a_clock_that_was_set_back_delays_by_no_more_than_the_pause() {
        let attempts = Attempts::default().failed(Failure::Refused, None, start(), 0.5);
        let now = start() - 100 * DAY;
        assert_eq!(attempts.due(None, now, 0.5), now + Duration::from_mins(1));
    }

    #[test]
    fn a_clock_that_jumps_by_an_hour_either_way_neither_hastens_an_order_nor_delays_it_for_long() {
        let (now, ninety) = (start() + 10 * DAY, of(90));
        for then in [now - HOUR, now, now + HOUR] {
            // Issued by one clock, looked at by another.
            let none = Attempts::default().issued(ninety, then, 0.5);
            assert!(none.due(Some(ninety), now, 0.5) > now + 40 * DAY);
            // The same for one that failed.
            let failed = Attempts::default().failed(Failure::Refused, None, then, 0.5);
            assert!(failed.due(None, now, 0.5) <= now + Duration::from_mins(1));
        }
    }

    #[test]
    fn attempts_are_kept_as_text_and_rubbish_is_none() {
        let attempts = Attempts::default().failed(Failure::Refused, None, start(), 0.7);
        assert_eq!(Attempts::of_text(&attempts.to_text()), Some(attempts));
        for rubbish in ["", "1", "1 2", "1 2 x", "1 2 3 4", "-1 2 3", "1 2 99999999999", "\u{0}\u{0}"] {
            assert_eq!(Attempts::of_text(rubbish), None, "{rubbish:?}");
        }
    }
}
