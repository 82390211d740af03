//! What happens, as it happens: a snapshot every second, made once for all who watch, and the begins and ends of sessions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::Admin;
use super::answer::Page;
use super::body::Body;
use super::sights::{shown, shown_upstreams};
use crate::meter::{Told, Watcher};

impl Admin {
    /// Tells those who watch what there is, every second for as long as there is somebody.
    pub async fn tell(self) {
        let (tail, began) = (self.metrics.tail().clone(), Instant::now());
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tail.watched().await;
            ticks.tick().await;
            tail.tell_snapshot(|missed| {
                let snapshot = self.snapshot(missed, began.elapsed());
                format!("event: snapshot\ndata: {snapshot}\n\n")
            });
        }
    }

    /// Returns a stream of what happens from now on.
    pub(super) fn watch(&self) -> Response<Body> {
        let Some(watcher) = self.metrics.tail().watch() else {
            return Page::problem(StatusCode::SERVICE_UNAVAILABLE, "too many watch already").into();
        };
        let stop = self.control.stop.clone();
        let lines = stream::unfold(watcher, move |watcher| {
            let stop = stop.clone();
            async move { stop.run_until_cancelled(next(watcher)).await }
        });
        let mut response = Response::new(Body::Events(Box::pin(lines)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn snapshot(&self, missed: u64, age: Duration) -> Value {
        let mut snapshot = self.metrics.shown();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        snapshot["at"] = at.into();
        snapshot["version"] = env!("CARGO_PKG_VERSION").into();
        snapshot["uptime_seconds"] = age.as_secs_f64().into();
        snapshot["draining"] = self.control.drain.is_cancelled().into();
        snapshot["sessions"] = self.sessions.0.taken().into();
        snapshot["missed"] = missed.into();
        let dialects = (self.dialects)();
        for route in snapshot["routes"].as_array_mut().into_iter().flatten() {
            let of = |(path, upstream, _): &&(String, String, &str)| {
                route["route"] == path.as_str() && route["upstream"] == upstream.as_str()
            };
            let dialect = dialects.iter().find(of).map(|(.., dialect)| *dialect);
            route["dialect"] = json!(dialect);
        }
        for mut more in [shown_upstreams(&(self.upstreams)()), shown(&(self.sights)())] {
            for (name, value) in more.as_object_mut().into_iter().flatten() {
                snapshot[name] = value.take();
            }
        }
        snapshot
    }
}

/// Returns what is told next, as a browser reads it.
async fn next(mut watcher: Watcher) -> (Bytes, Watcher) {
    let line = match watcher.next().await {
        Told::Line(line) => line,
        Told::Lost(lines) => format!("event: lost\ndata: {}\n\n", json!({ "lines": lines })).into(),
    };
    (line, watcher)
}

const EVERY: Duration = Duration::from_secs(1);
