//! How large a request's body may be, and how slowly its client may send it. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use crate::limited::Limit;

/// How large and how slow a request's body may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyLimits {
    /// The maximum of bytes; `None` is no limit.
    pub max: Option<usize>,
    /// The minimum of bytes a second while the client is waited for, over ten seconds of that; zero is no limit.
    pub min_rate: usize,
    /// How long all of it may take; if it is forwarded, until the backend responds.
    pub timeout: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { max: Some(256_000_000), min_rate: 240, timeout: Duration::from_mins(30) }
    }
}

/// How a client is too slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TooSlow {
    /// It sends too few bytes a second.
    Trickles,
    /// All of it takes too long.
    Late,
}

impl TooSlow {
    /// Returns the limit that it exceeds.
    pub const fn limit(self) -> Limit {
        match self {
            Self::Trickles => Limit::MinBodyRate,
            Self::Late => Limit::BodyTimeout,
        }
    }
}

/// What a client has sent since the last look, and how long it was waited for.
#[derive(Default, Debug)]
pub struct Pace {
    bytes: u64,
    waited: Duration,
    /// Since when its next piece is awaited.
    asked: Option<Instant>,
    /// Whether nothing more comes.
    is_over: bool,
}

impl Pace {
    /// Creates one for a body of which nothing has come; it may be empty.
    pub fn new(is_over: bool) -> Self {
        Self { is_over, ..Self::default() }
    }

    /// Notes that so many bytes came, or that the next are awaited.
    pub fn note(&mut self, is_awaited: bool, len: u64, is_over: bool, now: Instant) {
        self.bytes += len;
        self.is_over |= is_over;
        if is_awaited {
            self.asked.get_or_insert(now);
        } else if let Some(asked) = self.asked.take() {
            self.waited += now - asked;
        }
    }

    /// Returns when to look again; `None` if nothing more is awaited.
    ///
    /// # Errors
    /// The client is too slow.
    pub fn check(
        &mut self,
        limits: &BodyLimits,
        began: Instant,
        now: Instant,
    ) -> Result<Option<Instant>, TooSlow> {
        if self.is_over {
            return Ok(None);
        }
        let end = began + limits.timeout;
        if now >= end {
            return Err(TooSlow::Late);
        }
        if limits.min_rate == 0 {
            return Ok(Some(end));
        }
        let waited = self.waited + self.asked.map_or(Duration::ZERO, |asked| now - asked);
        if waited < WINDOW {
            return Ok(Some(end.min(now + WINDOW.saturating_sub(waited))));
        }
        if self.bytes < (limits.min_rate as u64).saturating_mul(WINDOW.as_secs()) {
            return Err(TooSlow::Trickles);
        }
        *self = Self { asked: self.asked.map(|_| now), ..Self::default() };
        Ok(Some(end.min(now + WINDOW)))
    }
}

/// The time over which a rate is judged: longer than the pauses of a bad line.
const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: BodyLimits = BodyLimits { max: None, min_rate: 100, timeout: Duration::from_mins(1) };

    /// Returns after how many seconds a client is too slow that sends so many bytes every second.
    fn ends(bytes: u64, limits: &BodyLimits) -> (u64, TooSlow) {
        let (began, mut pace) = (Instant::now(), Pace::default());
        let (mut now, mut look) = (began, pace.check(limits, began, began).unwrap().unwrap());
        for second in 1.. {
            pace.note(true, 0, false, now);
            now += SECOND;
            if bytes > 0 {
                pace.note(false, bytes, false, now);
                pace.note(true, 0, false, now);
            }
            while now >= look {
                match pace.check(limits, began, now) {
                    Ok(next) => look = next.expect("more is awaited"),
                    Err(slow) => return (second, slow),
                }
            }
        }
        unreachable!()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_trickles_ends_after_a_window_and_another_after_the_whole_time() {
        assert_eq!(ends(0, &LIMITS), (10, TooSlow::Trickles));
        assert_eq!(ends(99, &LIMITS), (10, TooSlow::Trickles));
        assert_eq!(ends(101, &LIMITS), (60, TooSlow::Late));
        assert_eq!(ends(0, &BodyLimits { min_rate: 0, ..LIMITS }), (60, TooSlow::Late));
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_reads_slowly_is_not_its_clients_fault() {
        let (began, mut pace) = (Instant::now(), Pace::default());
        // One byte in fifty seconds, and the client was waited for in five of them.
        pace.note(true, 0, false, began);
        pace.note(false, 1, false, began + 5 * SECOND);
        let now = began + 50 * SECOND;
        assert_eq!(pace.check(&LIMITS, began, now), Ok(Some(now + 5 * SECOND)));
        pace.note(false, 0, true, now);
        assert_eq!(pace.check(&LIMITS, began, began + 100 * SECOND), Ok(None), "all of it came");
    }
}
