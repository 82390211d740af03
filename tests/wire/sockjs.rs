//! Dialect `sockjs` in front of a plain WebSocket application, to the byte, as measured on sockjs-node (no oracle here).

mod door;
mod keys;
mod life;
mod polls;
mod sends;
mod sockets;
mod streams;
