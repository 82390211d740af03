//! When an address is checked, and what its checks mean. Pure: time is passed in.

use tokio::time::Instant;

use super::checked::Next;
use super::entry::Endpoint;
use super::set::Set;

/// How many checks in a row change the state of an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Thresholds {
    pub(in crate::upstream) rise: usize,
    pub(in crate::upstream) fall: usize,
}

/// What the outcome of a check has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::upstream) enum Change {
    /// Nothing.
    None,
    /// The address fails its checks from now on.
    Fails,
    /// It passes them again.
    Passes,
}

impl Set {
    /// Returns the addresses whose check is due and is taken for pending from now on, and when the next is due.
    pub(super) fn due_checks(&mut self, now: Instant) -> (Vec<Endpoint>, Option<Instant>) {
        let (mut due, mut first) = (Vec::new(), None::<Instant>);
        for entry in self.entries.iter_mut().filter(|entry| !entry.is_gone) {
            match entry.checked.next {
                Next::Pending => {}
                Next::At(at) if at > now => first = Some(first.map_or(at, |first| first.min(at))),
                Next::Now | Next::At(_) => {
                    entry.checked.next = Next::Pending;
                    due.push(entry.endpoint);
                }
            }
        }
        (due, first)
    }

    /// Notes the outcome of a check, if it had one, and when the next one is due. The first of an address decides alone.
    pub(super) fn checked(
        &mut self,
        endpoint: Endpoint,
        passed: Option<bool>,
        thresholds: Thresholds,
        next: Instant,
    ) -> Change {
        let mut change = Change::None;
        self.with(endpoint, |entry| {
            let checked = &mut entry.checked;
            checked.next = Next::At(next);
            let Some(passed) = passed else { return };
            let is_first = !std::mem::replace(&mut checked.is_known, true);
            if passed != checked.is_sick {
                checked.streak = 0;
                return;
            }
            checked.streak += 1;
            let needed = if passed { thresholds.rise } else { thresholds.fall };
            if is_first || checked.streak >= needed {
                checked.is_sick = !passed;
                checked.streak = 0;
                change = if passed { Change::Passes } else { Change::Fails };
            }
        });
        change
    }

    /// Returns whether an address fails its checks.
    pub(super) fn is_sick(&self, endpoint: Endpoint) -> bool {
        self.present().any(|entry| entry.endpoint == endpoint && entry.checked.is_sick)
    }
}
