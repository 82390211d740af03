//! The sessions of one shared connection and those that continue it: an epoch, with a name of its own.

use crate::budget::Budget;
use crate::mux::{Hello, Side};
use crate::trunk::Trunk;
use crate::upstream::Settings;

/// Returns the sessions of a new epoch.
pub(super) fn fresh(settings: &Settings, budget: &Budget) -> Trunk {
    let resume_ms = settings.mux.resume_timeout.as_millis();
    let hello = Hello {
        epoch: epoch(),
        credit: settings.mux.credit as u64,
        max_message: Some(settings.max_message as u64),
        resume_ms: u64::try_from(resume_ms).unwrap_or(u64::MAX),
        resume: false,
        close_packets: true,
    };
    Trunk::new(Side::Proxy, hello, budget.clone())
}

/// Returns a unique name.
fn epoch() -> String {
    use base64::Engine as _;
    let mut random = [0; 15];
    if getrandom::fill(&mut random).is_err() {
        // It need not be secret: the connection is.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        random[..12].copy_from_slice(&now.as_nanos().to_le_bytes()[..12]);
    }
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random)
}
