//! How much of a body may be on its way.

/// The other side violated the protocol: the connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub &'static str);

/// How many bytes of a body may be on their way without a `TOOK`.
pub const WINDOW: u64 = 64 << 10;
/// The longest piece of a body in one frame, so that other requests have their turn soon.
pub const PIECE_LEN_MAX: usize = 16 << 10;
