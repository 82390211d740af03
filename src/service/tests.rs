//! Whole nodes in memory: a request goes from its client's connection through a node, to another one, and to its session's
//! link. Only sockets are replaced, and the clock is paused.

mod backend;
mod client;
mod crowds;
mod cuts;
mod dice;
mod forged;
mod many;
mod net;
mod pair;
mod read;
mod reserved;
mod silent;
mod site;
mod slow;
mod spans;
mod twins;
