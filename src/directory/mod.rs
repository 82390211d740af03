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
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "redis")]
mod redis;
mod settings;
#[cfg(test)]
mod tests;

pub use engine::{Engine, Verdict};
pub use held::{Key, Loss, Sessions};
pub use id::Id;
pub use keeper::{Directory, Hold, Meeting};
pub use settings::{EngineError, Kind, Settings};

use crate::sid::Node;
use crate::tls::{Trust, client_config};

/// Returns the engine that the settings name, for the node `me` at this address.
///
/// # Errors
/// It cannot be used.
#[cfg_attr(
    not(any(feature = "nats", feature = "redis")),
    expect(unused_variables, reason = "there is no engine")
)]
pub fn engine(settings: &Settings, me: Node, address: &str) -> Result<Box<dyn Engine>, EngineError> {
    let Settings { ca, identity, .. } = settings;
    if ca.is_some() || identity.is_some() {
        // The engine reads the files itself: here their faults are found at the start.
        let trust = ca.clone().map_or(Trust::WebPki, Trust::File);
        client_config(&trust, identity.as_ref())?;
    }
    match settings.kind {
        #[cfg(feature = "nats")]
        Kind::Nats => Ok(Box::new(nats::Nats::new(settings, me, address)?)),
        #[cfg(feature = "redis")]
        Kind::Redis => Ok(Box::new(redis::Redis::new(settings, me, address)?)),
        #[cfg(not(all(feature = "nats", feature = "redis")))]
        kind => Err(EngineError::Settings(format!(
            "this binary was built without the feature `{}`",
            kind.feature()
        ))),
    }
}
