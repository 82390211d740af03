//! Where the sessions are whose ids do not name their node, since a client or a backend made them.

mod id;

pub use id::Id;
