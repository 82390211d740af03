//! The promises of forwarded HTTP, over real sockets: raw HTTP/1.1 on both sides of the binary, which stands between a
//! client that knows only bytes and a backend that records what it is asked and answers what it is told.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "all of this crate is tests: it fails by panicking, and measures real time"
)]

mod bodies;
mod descriptors;
mod errors;
mod gone;
mod headers;
mod log;
mod onward;
mod pool;
mod site;
mod spelling;
mod stalls;
mod statuses;
#[path = "../wire/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of the sessions use the rest")]
mod support;
mod tunnel;
mod whole;
