//! Where clients come in: listeners, TLS, and hyper over one socket.

mod settings;

pub use settings::{Settings, TlsFiles};
