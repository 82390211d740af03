//! What a session that has ended goes on saying.

use crate::packet::Closing;

/// What a session that has ended goes on saying, for as long as its dialect wants it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Ending {
    /// Why it ended.
    pub closing: Closing,
    /// The number of the last message that its client has acknowledged, where clients do.
    pub acknowledged: u64,
}
