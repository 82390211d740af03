//! How a session's packets travel: in the answers to polls and in POSTs, or over a WebSocket.

pub mod body;
pub mod compress;
pub mod mux;
pub mod polling;
pub mod relay;
pub mod stream;
pub mod streamed;
pub mod tunnel;
pub mod web_socket_ask;
pub mod websocket;

pub use body::Body;

/// An answer to a request.
pub type Response = http::Response<Body>;

/// The client broke the rules in the middle of a request: its connection is dropped without an answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client's connection is dropped")]
pub struct Abort;
