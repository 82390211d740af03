//! The sessions that are live, as JSON, and the end of one of them.

use std::cmp::Reverse;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::Page;
use super::query::Query;
use crate::bridge::{Registry, Sight};
use crate::tally::Moved;

/// The sessions that are live.
#[derive(Clone, Debug)]
pub struct Sessions(pub Registry);

/// A session, and its route as text.
struct Shown {
    sight: Sight,
    route: String,
}

impl Sessions {
    /// Returns those that a query asks for. Each is looked at once, on a thread that no session waits for.
    pub(super) async fn list(self, query: Query) -> Page {
        let listed = tokio::task::spawn_blocking(move || self.listed(&query)).await;
        match listed {
            Ok(Ok(listed)) => Page::json(StatusCode::OK, &listed),
            Ok(Err(problem)) => Page::problem(StatusCode::BAD_REQUEST, problem),
            Err(_) => Page::problem(StatusCode::INTERNAL_SERVER_ERROR, "the sessions could not be read"),
        }
    }

    /// Ends the one that is shown with this id.
    pub(super) async fn end(self, id: String) -> Page {
        let ended = tokio::task::spawn_blocking(move || (self.0.end(&id), id)).await;
        match ended {
            Ok((true, id)) => {
                tracing::info!(session = id, "an operator has ended a session");
                Page::json(StatusCode::OK, &json!({ "ended": id }))
            }
            Ok((false, _)) => Page::problem(StatusCode::NOT_FOUND, "no session of this process has this id"),
            Err(_) => Page::problem(StatusCode::INTERNAL_SERVER_ERROR, "the session could not be ended"),
        }
    }

    fn listed(&self, query: &Query) -> Result<Value, &'static str> {
        let limit = match query.get("limit") {
            None => LIMIT,
            Some(text) => text.parse().ok().filter(|limit| *limit <= LIMIT_MAX).ok_or(BAD_LIMIT)?,
        };
        let rank: fn(&Sight) -> u128 = match query.get("sort") {
            None | Some("newest") => |sight| u128::MAX - sight.age.as_nanos(),
            Some("oldest") => |sight| sight.age.as_nanos(),
            Some("bytes") => |sight| (sight.from_client.bytes + sight.to_client.bytes).into(),
            Some("waiting") => |sight| sight.waiting.bytes.into(),
            Some(_) => return Err(BAD_SORT),
        };
        let mut total = 0_usize;
        let mut found: Vec<Shown> = self
            .0
            .sights()
            .inspect(|_| total += 1)
            .map(|sight| Shown { route: sight.route.to_string(), sight })
            .filter(|shown| shown.fits(query))
            .collect();
        let matching = found.len();
        found.sort_by_cached_key(|shown| (Reverse(rank(&shown.sight)), shown.sight.name.to_string()));
        let sessions: Vec<Value> = found.iter().take(limit).map(Shown::to_json).collect();
        Ok(json!({ "total": total, "matching": matching, "sessions": sessions }))
    }
}

impl Shown {
    fn client(&self) -> String {
        self.sight.client.map_or_else(|| crate::address::UNIX.to_owned(), |client| client.to_string())
    }

    fn dialect(&self) -> Option<&'static str> {
        self.sight.leads.as_ref().map(|(dialect, _)| *dialect)
    }

    fn upstream(&self) -> Option<&str> {
        self.sight.leads.as_ref().map(|(_, upstream)| &**upstream)
    }

    /// Returns whether it is what a query asks for: all of the fields that it names, and its text in one of them.
    fn fits(&self, query: &Query) -> bool {
        let (id, client) = (self.sight.name.to_string(), self.client());
        let transport = if self.sight.is_upgrading { UPGRADING } else { self.sight.transport.word() };
        let fields = [
            ("id", Some(&*id)),
            ("client", Some(&*client)),
            ("route", Some(&*self.route)),
            ("upstream", self.upstream()),
            ("dialect", self.dialect()),
            ("transport", Some(transport)),
        ];
        let is_named = |(name, value): &(&str, Option<&str>)| {
            query.get(name).is_none_or(|wanted| value.is_some_and(|value| value.eq_ignore_ascii_case(wanted)))
        };
        let has = |text: &str| {
            let text = text.to_ascii_lowercase();
            fields
                .iter()
                .any(|(_, value)| value.is_some_and(|value| value.to_ascii_lowercase().contains(&text)))
        };
        fields.iter().all(is_named) && query.get("text").is_none_or(|text| text.split(' ').all(has))
    }

    fn to_json(&self) -> Value {
        let Sight { name, version, transport, is_upgrading, is_relayed, age, .. } = &self.sight;
        let carried = |Moved { messages, bytes }: Moved| json!({ "messages": messages, "bytes": bytes });
        json!({
            "id": name.to_string(),
            "client": self.client(),
            "route": self.route,
            "upstream": self.upstream(),
            "dialect": self.dialect(),
            "version": version,
            "transport": transport.word(),
            "upgrading": is_upgrading,
            "relayed": is_relayed,
            "age_seconds": age.as_secs_f64(),
            "from_client": carried(self.sight.from_client),
            "to_client": carried(self.sight.to_client),
            "waiting": carried(self.sight.waiting),
        })
    }
}

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 10_000;
const BAD_LIMIT: &str = "limit is a number up to 10000";
const BAD_SORT: &str = "sort is newest, oldest, bytes or waiting";
/// The word by which one finds the sessions that are moving to a WebSocket.
const UPGRADING: &str = "upgrading";
