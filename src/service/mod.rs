//! stub
mod admin;
mod settings;
pub use admin::{Admin, Readiness};
pub use settings::{AdminSettings, Route};
