//! What Polliwog promises to clients of forwarded HTTP. The test plays the client and the backend with raw HTTP/1.1, and
//! the binary runs between the two.
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
mod http2;
mod limits;
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
