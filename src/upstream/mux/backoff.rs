//! The pauses between attempts to connect.

use std::time::Duration;

/// Growing pauses, randomised so that proxies do not reconnect in step.
#[derive(Clone, Copy, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// Returns the next pause.
    pub(super) fn next(&mut self) -> Duration {
        let longest = BACKOFF_MIN.saturating_mul(1 << self.0.min(10)).min(BACKOFF_MAX);
        self.0 = self.0.saturating_add(1);
        let mut random = [0; 2];
        // Without randomness they are in step, which is slower but not wrong.
        let _ = getrandom::fill(&mut random);
        let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
        longest.mul_f64(0.5 + share / 2.0)
    }
}

/// The longest first pause.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
