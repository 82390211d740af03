//! Where the sessions are whose ids do not name their node, since a client or a backend made them.
//!
//! A [`Directory`] is this node's view of what all nodes have written to an [`Engine`], a server beside them: which node has which
//! [`Id`], and which nodes there are. Nothing of a session's messages goes there. The engine may be down, emptied or
//! replaced at any time: a node holds what it has and writes it again, and an answer that may come from an engine which has
//! forgotten something is unsure ([`Verdict::Unsure`]). Then the nodes ask each other.

mod engine;
mod held;
mod id;
mod keeper;
#[cfg(feature = "redis")]
mod redis;
mod settings;
#[cfg(test)]
mod tests;

pub use engine::Engine;
pub use held::Key;
pub use id::Id;
pub use keeper::{Directory, Hold, Verdict};
pub use settings::{EngineError, Settings};

#[cfg(feature = "redis")]
use std::fs;
#[cfg(feature = "redis")]
use std::path::PathBuf;

use crate::sid::Node;

/// Returns the engine that the settings name, for the node `me` at this address.
///
/// # Errors
/// It cannot be used.
#[cfg(feature = "redis")]
pub fn engine(settings: &Settings, me: Node, address: &str) -> Result<Box<dyn Engine>, EngineError> {
    let read = |path: &PathBuf| fs::read(path).map_err(|error| EngineError::File(path.clone(), error));
    let ca = settings.ca.as_ref().map(read).transpose()?;
    Ok(Box::new(redis::Redis::new(settings, ca, me, address)?))
}

/// Returns that there is none.
///
/// # Errors
/// Always.
#[cfg(not(feature = "redis"))]
pub fn engine(_: &Settings, _: Node, _: &str) -> Result<Box<dyn Engine>, EngineError> {
    Err(EngineError::Settings("this binary was built without the feature `redis`".to_owned()))
}
