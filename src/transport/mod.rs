//! How a session's packets travel: in poll responses and POSTs, in streamed responses, or over a WebSocket.

pub mod body;
pub mod client_upgrade;
pub mod compress;
pub mod in_body;
pub mod mux;
pub mod polling;
pub mod relay;
pub mod stream;
pub mod streamed;
pub mod tunnel;
pub mod web_socket_ask;
pub mod websocket;

pub use body::Body;
pub use client_upgrade::ClientUpgrade;
pub use in_body::{InBody, InBroke};

/// A response to a request.
pub type Response = http::Response<Body>;

/// The client violated the protocol during a request: its connection is dropped without a response.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client's connection is dropped")]
pub struct Abort;
