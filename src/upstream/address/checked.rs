//! What the checks of an address have found.

use tokio::time::Instant;

/// What the checks of one address have found.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Checked {
    pub(super) next: Next,
    /// Whether any has ended.
    pub(super) is_known: bool,
    /// Whether it fails them.
    pub(super) is_sick: bool,
    /// How many in a row said otherwise.
    pub(super) streak: usize,
}

/// When the next check begins.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Next {
    #[default]
    Now,
    At(Instant),
    /// One is pending.
    Pending,
}
