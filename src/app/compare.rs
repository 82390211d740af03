//! `check --against`: asks a process that runs whether it could take a configuration over without a restart.

use serde_json::Value;

use super::ask::ask;
use crate::config::{Config, Differing, Fixed};

/// Returns what the process says whose admin listener has this URL, or this socket (`unix:` and its path): what differs from
/// its own configuration, and only changes at a restart.
///
/// # Errors
/// It cannot be asked; the text says why.
pub fn compare(config: &Config, admin: &str) -> Result<Differing, String> {
    let mut salt = [0; 8];
    getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
    let query = Fixed::of(config).to_query(&u64::from_ne_bytes(salt).to_string());
    let (status, body) = ask(admin, &format!("/api/differing?{query}"), &config.admin)?;
    if !status.is_success() {
        return Err(format!("{admin}: it responds {status}: is that an admin listener?"));
    }
    let told = serde_json::from_slice::<Value>(&body).ok();
    let differing = told.and_then(|told| Differing::from_json(&told));
    differing.ok_or_else(|| format!("{admin}: it responds something else: is that an admin listener?"))
}
