//! What changes at which fill of a budget. Pure: numbers in, a decision out.

/// Stands for a budget without a limit.
pub(super) const NO_LIMIT: usize = usize::MAX;

/// Returns the use from which sessions that hold more than their share are not read.
pub(super) const fn tight(max: usize) -> usize {
    max / 4 * 3
}

/// Returns the use up to which a budget that was tight still is; lower than [`tight`], so that sessions do not stop and
/// go with every message.
pub(super) const fn eased(max: usize) -> usize {
    max / 10 * 7
}

/// Returns the use from which nothing new begins.
pub(super) const fn scarce(max: usize) -> usize {
    max / 10 * 9
}

/// Returns the use down to which sessions end once all of the budget is used.
pub(super) const fn relieved(max: usize) -> usize {
    max / 20 * 19
}

/// Returns an equal share of the budget.
pub(super) const fn share(max: usize, sessions: usize) -> usize {
    max / if sessions == 0 { 1 } else { sessions }
}

/// Returns how much may wait for a session's client while the budget is tight.
pub(super) fn room(used: usize, max: usize, sessions: usize) -> usize {
    if used >= max { 0 } else { share(max, sessions).max(ROOM_MIN) }
}

/// Returns how much may be taken at once while the budget is tight, by who holds `held` bytes of what is used. What is left
/// above that is for what nobody can hold back.
pub(super) const fn rest(used: usize, max: usize, held: usize) -> usize {
    if used.saturating_sub(held) <= eased(max) { usize::MAX } else { scarce(max).saturating_sub(used) }
}

/// Room for a few short messages, however many sessions there are.
const ROOM_MIN: usize = 4 << 10;
