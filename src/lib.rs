//! stub
pub mod app;
pub mod cli;
pub mod config;
pub mod duplex;
pub mod meter;
pub mod packet;
pub mod server;
pub mod service;
pub mod session;
pub mod sid;
pub mod units;
pub mod upstream;
