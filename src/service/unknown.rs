//! A request for a session that this node does not have, while others are asked for it.

use std::sync::Arc;

use super::locations::elsewhere;
use crate::dialect::{Answered, Dialect, Intent, RequestKind};

/// What makes the response to such a request if no other node has the session either. Most often one has, so the
/// response is made only then.
#[derive(Debug)]
pub(super) enum Unknown {
    /// The node that has passed the request on looks again.
    Elsewhere,
    /// The client learns that nobody has it.
    Nowhere(Arc<dyn Dialect>, Intent, RequestKind),
}

impl Unknown {
    /// Returns the response.
    pub(super) fn answer(self) -> Box<Answered> {
        match self {
            Self::Elsewhere => elsewhere().into(),
            Self::Nowhere(dialect, intent, kind) => dialect.refuse_unknown(intent, kind),
        }
    }
}
