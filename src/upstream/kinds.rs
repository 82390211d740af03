//! The kinds of upstreams.

use std::sync::Arc;

use crate::background::Background;
use crate::budget::Budget;
use crate::meter::Dials;
#[cfg(feature = "demo")]
use crate::upstream::demo::Demo;
use crate::upstream::engineio::EngineIo;
use crate::upstream::mux::Mux;
use crate::upstream::plain::Plain;
use crate::upstream::settings::{Kind, Settings};
use crate::upstream::translated::Translated;
use crate::upstream::websocket::WebSocket;
use crate::upstream::{BuildError, Upstream};

/// Makes the upstream that `settings` describe.
///
/// What it keeps for its sessions on connections that they share is charged to `budget`. Its few tasks (the prober of an upstream that is down, the demo's connections) run in `background`; links do not.
///
/// # Errors
/// The settings name a target that cannot be dialled, or a kind that this binary was built without.
pub fn build(
    settings: &Settings,
    background: Background,
    dials: Dials,
    budget: &Budget,
) -> Result<Arc<dyn Upstream>, BuildError> {
    let upstream: Arc<dyn Upstream> = match settings.kind {
        Kind::EngineIo => Arc::new(EngineIo::new(settings, background, dials)?),
        Kind::Mux => Arc::new(Mux::new(settings, background, dials, budget)?),
        Kind::Http => Arc::new(Plain::new(settings, background, dials)?),
        Kind::WebSocket => Arc::new(WebSocket::new(settings, background, dials)?),
        #[cfg(feature = "demo")]
        Kind::Demo(speaks) => Arc::new(Demo::new(settings, speaks, background)?),
        #[cfg(not(feature = "demo"))]
        Kind::Demo(_) => return Err(BuildError::NoDemo),
    };
    let patience = settings.handshake_timeout + settings.hold + settings.limits.queue_timeout;
    Ok(if settings.is_translated() { Arc::new(Translated::new(upstream, patience)) } else { upstream })
}
