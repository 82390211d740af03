//! What an operator asks of the process by the admin listener.

use std::pin::Pin;
use std::sync::Arc;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::page::Page;

/// What the process does at a request.
#[derive(Clone)]
pub struct Control {
    /// Reads the configuration again.
    pub reload: Arc<dyn Fn() -> Reloading + Send + Sync>,
    /// Returns what of a configuration, whose keys are in the query, differs from what only a restart changes.
    pub differing: Differing,
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

    /// Returns what differs from what runs, by a query.
    pub(super) fn differing(&self, query: &str) -> Page {
        Page::json(StatusCode::OK, &(self.differing)(query))
    }
}

/// Returns whether a page of another site sends the request: the operator's browser may reach this listener.
pub(super) fn is_of_another_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    // Browsers add it themselves; `none` is what a person has typed. Older ones send no more than `Origin`.
    let is_of_site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    headers.get(SEC_FETCH_SITE).is_some_and(|site| !is_of_site(site))
        || headers.contains_key(ORIGIN)
            && text(ORIGIN.as_str()).and_then(host).as_deref() != text(HOST.as_str())
}

const SEC_FETCH_SITE: &str = "sec-fetch-site";

fn fault(fault: &Fault) -> Value {
    json!({ "place": fault.place, "key": fault.key, "problem": fault.problem })
}
