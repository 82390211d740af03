//! Engine.IO as its clients speak it: protocol 4 (Socket.IO 3 and 4), and protocol 3 (Socket.IO 1 and 2).

mod framing;
mod head;
mod keys;
mod query;
mod reply;
mod settings;

pub use self::head::EngineIo;
pub(super) use self::keys::KEYS;
pub use self::settings::Settings;
