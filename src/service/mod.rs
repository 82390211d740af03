//! stub
mod settings;
pub use settings::{AdminSettings, Route};
