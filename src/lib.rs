//! stub
pub mod config;
pub mod drain;
pub mod duplex;
pub mod meter;
pub mod packet;
pub mod server;
pub mod service;
pub mod session;
pub mod sid;
pub mod tls;
pub mod upstream;
