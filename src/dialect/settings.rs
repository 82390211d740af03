//! The routes' settings of their dialects.

use super::{engineio, longpoll, sockjs};

/// A route's settings of each dialect, of which it has one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Settings {
    /// Engine.IO's.
    pub engine_io: engineio::Settings,
    /// longpoll's.
    pub longpoll: longpoll::Settings,
    /// SockJS's.
    pub sockjs: sockjs::Settings,
}
