//! What a route says of longpoll.

use std::time::Duration;

/// What a route says of longpoll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long a request waits for a message, and the most that it may ask for.
    pub wait: Duration,
    /// How long a session lives without a request, and how long one that has ended says so.
    pub grace: Duration,
    /// How many bytes a stream carries before its client has to come back and acknowledge them. `None`: a quarter of
    /// `outbox_max`.
    pub stream_budget: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { wait: Duration::from_secs(25), grace: Duration::from_mins(1), stream_budget: None }
    }
}
