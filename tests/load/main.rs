//! `polliwog load` as a user meets it: against the proxy with its demo, and against servers that misbehave.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "all of this crate is tests: it fails by panicking, and measures real time"
)]

mod budget;
mod clean;
mod dialects;
mod disorder;
mod faults;
mod forwards;
mod http2;
mod polling;
mod reloads;
mod renewed;
mod reports;
mod restarts;
mod sockets;
mod support;
