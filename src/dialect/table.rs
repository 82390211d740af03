//! Which dialects there are.

use super::Dialect;
use super::engineio::EngineIo;
use super::websocket::WebSocket;

/// Every dialect that a route can name.
pub static DIALECTS: &[&dyn Dialect] = &[&EngineIo, &WebSocket];

/// The dialect of this name.
pub fn find(name: &str) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.name() == name)
}
