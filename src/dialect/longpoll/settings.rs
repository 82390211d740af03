//! The settings of longpoll on one route.

use std::time::Duration;

/// The settings of longpoll on one route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long a request waits for a message by default, and the maximum it may ask for.
    pub wait: Duration,
    /// How long a session lives without a request, and how long requests to an ended session get 410.
    pub grace: Duration,
    /// How many bytes a stream carries before the client must reconnect, which acknowledges them. `None`: a quarter of
    /// `outbox_max`.
    pub stream_budget: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { wait: Duration::from_secs(25), grace: Duration::from_mins(1), stream_budget: None }
    }
}
