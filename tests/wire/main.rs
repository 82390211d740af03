//! What Polliwog promises to clients of sessions: raw HTTP/1.1 and raw WebSocket frames against the binary.
//!
//! Each module is a section of the protocol or a promise of the design. With `POLLIWOG_WIRE_ORACLE=1` the same tests run
//! against npm's `engine.io` server, which shows that they expect the right thing; tests that concern only a proxy say
//! so and pass. Each test has its own process, backend and ports.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "all of this crate is tests: it fails by panicking, and measures real time"
)]

mod abandoned;
mod access_log;
mod acme;
mod activation;
mod auth;
mod balance;
mod bind;
mod bounds;
mod certificates;
mod checks;
mod clients;
mod clock;
mod cluster;
mod compression;
mod cors;
mod cost;
mod cuts;
mod demux;
mod directory;
mod discretion;
mod drain;
mod dual;
mod elsewhere;
mod errors;
mod exhausted;
mod faults;
mod framed;
mod full;
mod goaway;
mod gone;
mod handshake;
mod headers;
mod heartbeat;
mod hold;
mod honesty;
mod hostile;
mod jwt;
mod last_words;
mod limits;
mod lingering;
mod listeners;
mod longpoll;
mod names;
mod network;
mod nodes;
mod nodes_tls;
mod one_connection;
mod operator;
mod order;
mod overlap;
mod payloads;
mod permessage_deflate;
mod plain;
mod proxied;
mod rates;
mod readiness;
mod refusals;
mod relay;
#[path = "../cuts/relay.rs"]
mod relay_with_faults;
mod reload;
mod request_log;
mod secure;
mod shortage;
mod silence;
mod sockjs;
mod spans;
mod statuses;
mod subject;
mod succession;
mod support;
mod targets;
mod tls;
mod traps;
mod unix;
mod upgrade;
mod websocket;
