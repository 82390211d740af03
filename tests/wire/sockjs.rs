//! Dialect `sockjs` before a plain WebSocket application, to the byte (as measured on sockjs-node; no oracle has it here).

mod door;
mod keys;
mod life;
mod polls;
mod sends;
mod sockets;
mod streams;
