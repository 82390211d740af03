//! Polliwog, a reverse proxy that lets HTTP long-polling clients reach a WebSocket backend.
//!
#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod background;
pub mod bridge;
pub mod chain;
pub mod cli;
pub mod close;
pub mod codec;
pub mod config;
pub mod descriptors;
pub mod dialect;
mod dots;
pub mod drain;
pub mod duplex;
pub mod end;
pub mod frame;
pub mod framing;
mod hop;
pub mod load;
pub mod meter;
pub mod mux;
pub mod packet;
pub mod reply;
pub mod server;
pub mod service;
pub mod session;
pub mod sid;
pub mod socketio;
pub mod spelling;
pub mod throttle;
pub mod tls;
pub mod transport;
pub mod trunk;
pub mod units;
pub mod upstream;
