//! Polliwog, a reverse proxy that connects HTTP long-polling clients to a WebSocket backend.
//!
#![doc = include_str!("ARCHITECTURE.md")]
#![allow(rustdoc::private_intra_doc_links, reason = "the page is for those who read the source")]
#![cfg_attr(
    fuzzing,
    allow(
        dead_code,
        unused_imports,
        unfulfilled_lint_expectations,
        reason = "of the tests, only what they share is called"
    )
)]

pub mod access_log;
pub(crate) mod acme;
pub(crate) mod address;
pub(crate) mod agent;
pub mod app;
pub(crate) mod background;
pub(crate) mod bridge;
pub mod bucket;
pub(crate) mod budget;
pub(crate) mod chain;
pub mod cli;
pub(crate) mod client_body;
pub(crate) mod client_options;
pub(crate) mod close;
pub(crate) mod cluster;
pub mod codec;
pub mod config;
pub(crate) mod date;
pub(crate) mod descriptors;
pub(crate) mod dialect;
pub(crate) mod directory;
pub mod docs;
pub mod doctor;
pub(crate) mod dots;
pub(crate) mod drain;
pub(crate) mod duplex;
pub(crate) mod end;
pub(crate) mod fingerprint;
pub(crate) mod frame;
pub(crate) mod frame_header;
#[cfg_attr(not(fuzzing), cfg(test))]
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod hop;
pub(crate) mod jwt;
pub(crate) mod large_head;
pub(crate) mod limited;
pub(crate) mod limits;
pub mod load;
pub mod log_writer;
pub(crate) mod meter;
pub mod mux;
pub(crate) mod networks;
pub mod packet;
pub mod peer;
pub(crate) mod reply;
pub(crate) mod revision;
mod route_id;
pub(crate) mod server;
pub(crate) mod service;
pub mod session;
pub mod shared_headers;
pub(crate) mod sid;
pub(crate) mod socketio;
pub(crate) mod spans;
pub(crate) mod spelling;
pub(crate) mod succession;
pub(crate) mod tally;
pub(crate) mod throttle;
pub(crate) mod tls;
pub(crate) mod trace_context;
pub(crate) mod transport;
pub(crate) mod trunk;
pub(crate) mod units;
pub(crate) mod upstream;
pub(crate) mod window;
