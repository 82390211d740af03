//! Whether a route has the session of a request, asked before the request is served.

use http::header::UPGRADE;
use http::request::Parts;

use super::environment::RouteEnvironment;
use super::{Gateway, inner_path};
use crate::bridge::Located;
use crate::dialect::{Act, Ask, Place, Request, RequestKind};
use crate::directory::Id;
use crate::sid::Node;

impl Gateway {
    /// Returns whether this node has the session of a request, for a node that looks for it.
    pub(in crate::service) fn has(&self, head: &Parts, kind: RequestKind, asker: Node) -> bool {
        let path = inner_path(head, &self.route.settings.path);
        let request = Request { head, path, kind, environment: &RouteEnvironment(&self.route) };
        let Ok(Ask::Session(sid, intent)) = self.dialect.read(&request) else { return false };
        match (self.route.registry.find(&self.route.id, &sid), &self.route.locations) {
            (Located::Here(_) | Located::Gone(_), _) => true,
            (Located::Opening, Some(locations)) => {
                let begins = self.dialect.judge(intent, &Place::Nowhere, &request);
                let begins = matches!(begins, Ok(Act::Begin(_)));
                locations.is_ours(Id::of(&self.route.id, &sid), begins.then_some(asker))
            }
            (Located::Opening, None) | (Located::Nowhere, _) => false,
        }
    }

    /// Returns whether a request is about a session of this route that is here, or was.
    pub(in crate::service) fn knows(&self, head: &Parts) -> bool {
        let path = inner_path(head, &self.route.settings.path);
        let asks_upgrade = head.headers.contains_key(UPGRADE);
        let kind = if asks_upgrade { RequestKind::WebSocket } else { RequestKind::Http };
        let request = Request { head, path, kind, environment: &RouteEnvironment(&self.route) };
        let Ok(Ask::Session(sid, _)) = self.dialect.read(&request) else { return false };
        !matches!(self.route.registry.find(&self.route.id, &sid), Located::Nowhere)
    }
}
