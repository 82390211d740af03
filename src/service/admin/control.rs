//! What an operator asks of the process by the admin listener.

use std::pin::Pin;
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::answer::Page;

/// What the process does at a request.
#[derive(Clone)]
pub struct Control {
    /// Reads the configuration again.
    pub reload: Arc<dyn Fn() -> Reloading + Send + Sync>,
    /// Returns what of a configuration, whose keys are in the query, differs from what only a restart changes.
    pub differing: Differing,
    /// Cancelled when the process should drain, and end.
    pub drain: CancellationToken,
    /// Cancelled when the admin listener ends.
    pub stop: CancellationToken,
}

/// Returns what differs, by a query.
pub type Differing = Arc<dyn Fn(&str) -> Value + Send + Sync>;

/// A reload; what was wrong, if it was refused.
pub type Reloading = Pin<Box<dyn Future<Output = Result<(), Vec<Fault>>> + Send>>;

/// One reason why a configuration was refused.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fault {
    /// Where it is: a line of the file, or a variable.
    pub place: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl Control {
    /// Reloads, and returns what became of it.
    pub(super) async fn reload(self) -> Page {
        match (self.reload)().await {
            Ok(()) => Page::json(StatusCode::OK, &json!({ "faults": [] })),
            Err(faults) => {
                let faults: Vec<Value> = faults.iter().map(fault).collect();
                Page::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "faults": faults }))
            }
        }
    }

    /// Has the process drain, if it does not already. A drain that has begun goes on: another wish changes nothing.
    pub(super) fn drain(&self) -> Page {
        if !self.drain.is_cancelled() {
            tracing::info!("an operator has begun a drain");
            self.drain.cancel();
        }
        Page::json(StatusCode::ACCEPTED, &json!({ "draining": true }))
    }

    /// Returns what differs from what runs, by a query.
    pub(super) fn differing(&self, query: &str) -> Page {
        Page::json(StatusCode::OK, &(self.differing)(query))
    }
}

fn fault(fault: &Fault) -> Value {
    json!({ "place": fault.place, "key": fault.key, "problem": fault.problem })
}
