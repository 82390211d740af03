//! Spans of requests, on their way to a collector: a bounded queue, so that a collector that is slow or down stalls nobody.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::trace_context::TraceContext;

/// What a request was, as a part of its trace.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// The trace, and the span's own id.
    pub context: TraceContext,
    /// The span that it is a part of; `None` if the trace begins with it.
    pub parent: Option<u64>,
    /// What it is about, in a few words of a closed set.
    pub name: String,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What is known of it, by the names of OpenTelemetry's conventions.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Whether it failed here, or at the backend.
    pub has_failed: bool,
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Number(u64),
}

/// Takes spans for a collector.
#[derive(Clone)]
pub struct Spans {
    queue: Sender<Span>,
    dropped: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Spans {
    /// Creates a queue; `dropped` counts what does not fit into it. It ends once all that take for it are gone.
    pub fn new(dropped: impl Fn(u64) + Send + Sync + 'static) -> (Self, Receiver<Span>) {
        let (queue, waiting) = channel(QUEUED_MAX);
        (Self { queue, dropped: Arc::new(dropped) }, waiting)
    }

    /// Queues a span. It is dropped if too many wait already, or nobody sends them any more.
    pub fn send(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            (self.dropped)(1);
        }
    }
}

impl std::fmt::Debug for Spans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spans({} waiting)", self.queue.max_capacity() - self.queue.capacity())
    }
}

/// The most spans that wait, of about 1 kB each.
pub const QUEUED_MAX: usize = 4096;
