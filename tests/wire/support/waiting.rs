//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

use super::{SOON, ms};

/// Polls `is_so` until it is true; fails with the text of `what` if that takes too long.
#[track_caller]
pub(crate) fn eventually(is_so: impl FnMut() -> bool, what: impl FnOnce() -> String) {
    assert!(is_so_within(SOON * 3, is_so), "never: {}", what());
}

/// Returns whether `is_so` becomes true in time.
pub(crate) fn is_so_within(wait: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + wait;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        // The interval between two checks.
        thread::sleep(ms(5));
    }
    true
}
