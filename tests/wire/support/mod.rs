//! The support of the tests: a target, an application behind it, and clients that know only bytes.

pub(crate) mod backend;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod feed;
pub(crate) mod frames;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod line;
pub(crate) mod metrics;
pub(crate) mod multiplexed;
pub(crate) mod nodes;
pub(crate) mod peer;
pub(crate) mod poller;
pub(crate) mod processes;
pub(crate) mod reference;
pub(crate) mod script;
pub(crate) mod setup;
mod sha1;
pub(crate) mod sockjs;
pub(crate) mod target;
pub(crate) mod tunnel;
pub(crate) mod waiting;
pub(crate) mod wire;
pub(crate) mod world;

use std::time::Duration;

pub(crate) use event::Event;
pub(crate) use frames::{Frame, Op};
pub(crate) use nodes::{Network, Nodes};
pub(crate) use peer::Peer;
pub(crate) use poller::Poller;
pub(crate) use script::Script;
pub(crate) use setup::Setup;
pub(crate) use waiting::{eventually, is_so_within};
pub(crate) use world::World;

/// How long something that should happen may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// How long nothing must happen before a test concludes that nothing will.
pub(crate) const QUIET: Duration = Duration::from_millis(60);
/// How soon a backend must learn of its client's end, on a busy machine.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(100);

/// Milliseconds.
pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs a test that measures time up to three times: a busy machine may fail one run, a fault fails all.
pub(crate) fn patiently(test: impl Fn()) {
    for _ in 0..2 {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(&test)).is_ok() {
            return;
        }
        eprintln!("trying again, since the machine may have been busy");
    }
    test();
}

/// Fails unless `took` lies between `from` and `to` milliseconds.
#[track_caller]
pub(crate) fn assert_took(took: Duration, from: u64, to: u64) {
    assert!(took >= ms(from) && took <= ms(to), "took {took:?}, expected {from}..{to} ms");
}
