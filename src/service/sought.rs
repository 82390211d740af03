//! A request for a session that this node does not have, and whose id does not name the node that has it.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;

use super::foreign::{self, Asking, Foreign, Tasks, UNREACHED};
use super::locations::{CROWDED, Crowded, ELSEWHERE, Locations};
use super::passing::{Failed, Passing};
use super::replies::{plain, unavailable};
use super::serving::Serving;
use super::session_route::SessionRoute;
use super::unknown::Unknown;
use super::unsent::Unsent;
use super::{Client, Hop, Response};
use crate::cluster::{Prepared, Unreached};
use crate::directory::Id;
use crate::duplex::Receipted as _;
use crate::peer::Read;
use crate::shared_headers::SharedHeaders;
use crate::sid::{Node, Sid};
use crate::transport::web_socket_ask::WebSocketAsk;
use crate::transport::{Abort, polling};

/// A request that another node answers.
#[derive(Debug)]
pub(super) enum Passed {
    /// Its session id names the node.
    Named(Foreign),
    /// The node is looked for.
    Sought(Sought),
}

impl Passed {
    /// Returns what to do with a request for a session that this node does not have, in which it has read this.
    ///
    /// # Errors
    /// The response, `unknown`: no other node has it, or it came from another process, whose requests are asked nowhere else.
    pub(super) fn new(
        route: &SessionRoute,
        sid: &str,
        hop: Hop,
        read: Option<Read>,
        unknown: Unknown,
    ) -> Result<Self, Unknown> {
        if let Some(node) = Sid::node(sid) {
            return Foreign::find(route, node, hop, read, unknown).map(Self::Named);
        }
        match &route.locations {
            Some(locations) if locations.go_on(hop) => {
                let (id, locations) = (Id::of(&route.id, sid), Arc::clone(locations));
                Ok(Self::Sought(Sought { id, locations, hop, unknown }))
            }
            Some(_) | None => Err(unknown),
        }
    }

    /// Passes the request on, and the response back.
    pub(super) fn serve(self, asking: Asking) -> Serving {
        match self {
            Self::Named(foreign) => foreign.serve(asking),
            Self::Sought(sought) => sought.serve(asking),
        }
    }
}

/// The session that a request is for, and that another node may have.
#[derive(Debug)]
pub(super) struct Sought {
    id: Id,
    locations: Arc<Locations>,
    /// How the request came here.
    hop: Hop,
    /// The response if no node has it.
    unknown: Unknown,
}

impl Sought {
    fn serve(self, asking: Asking) -> Serving {
        let Self { id, locations, hop, unknown } = self;
        let Asking { head, head_len, body, ask, client, origin, cors, tasks } = asking;
        let body = Unsent::new(body);
        let errand = Errand::new(locations, id, (&head, head_len), &client, body, ask, tasks);
        let Some(mut errand) = errand else { return foreign::too_large(&cors, &origin) };
        drop(head);
        Serving::other(async move {
            let (mut not, mut is_crowded) = (None, false);
            for _ in 0..ATTEMPTS_MAX {
                let found = errand.find(not, hop).await;
                is_crowded = found.is_err();
                let Ok(Some(node)) = found else { break };
                if let Some(mut response) = errand.pass_to(node).await? {
                    if response.status() == StatusCode::BAD_GATEWAY {
                        cors.apply(&origin, &mut response);
                    } else {
                        let shared = response.body().headers().map(SharedHeaders::map);
                        cors.hear(&origin, shared.unwrap_or(response.headers()));
                    }
                    return Ok(response);
                }
                not = Some(node);
            }
            errand.discard();
            let mut response =
                if is_crowded { unavailable(CROWDED) } else { polling::respond(unknown.answer().reply) };
            cors.apply(&origin, &mut response);
            Ok(response)
        })
    }
}

/// A request on its way to the node of its session, which is not known for certain.
pub(super) struct Errand {
    locations: Arc<Locations>,
    id: Id,
    prepared: Prepared,
    body: Option<Unsent>,
    has_body: bool,
    ask: Option<WebSocketAsk>,
    tasks: Arc<Tasks>,
}

impl Errand {
    /// Prepares a request; `None` if its header is too large for other nodes.
    pub(super) fn new(
        locations: Arc<Locations>,
        id: Id,
        (head, head_len): (&Parts, usize),
        client: &Client,
        body: Option<Unsent>,
        ask: Option<WebSocketAsk>,
        tasks: Arc<Tasks>,
    ) -> Option<Self> {
        let has_body = body.is_some();
        let known = foreign::known(head_len, client, ask.as_ref());
        let content = Unsent::content(body.as_ref());
        if let Ok(prepared) = Prepared::new(head, client.peer, known, &content) {
            return Some(Self { locations, id, prepared, body, has_body, ask, tasks });
        }
        if let Some(body) = body {
            body.discard(&tasks.tracker);
        }
        None
    }

    /// Returns its header.
    pub(super) const fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Returns the node that has the session. `not` is one that was found not to have it.
    async fn find(&self, not: Option<Node>, hop: Hop) -> Result<Option<Node>, Crowded> {
        // A body that has begun to cross cannot cross again.
        let is_spent = self.has_body && self.body.is_none();
        if is_spent { Ok(None) } else { self.locations.find(self.id, &self.prepared, not, hop).await }
    }

    /// Passes the request to a node, and returns its response; `None` if it does not have the session.
    ///
    /// # Errors
    /// The client's connection must be dropped: nobody knows what was done.
    pub(super) async fn pass_to(&mut self, node: Node) -> Result<Option<Response>, Abort> {
        let cluster = self.locations.cluster();
        let owner = cluster.owner(node);
        let (prepared, body) = (std::mem::take(&mut self.prepared), self.body.take());
        let mut passing =
            Passing::new(Arc::clone(cluster), owner, prepared, body, self.tasks.tracker.clone());
        let passed = (&mut passing).await;
        (self.prepared, self.body) = passing.into_request();
        match passed {
            Ok((head, _)) if head.status == ELSEWHERE => {}
            Ok((head, question)) => {
                self.locations.remember(self.id, node);
                return Ok(Some(foreign::answer(cluster, *head, question, self.ask.take(), &self.tasks)));
            }
            Err(Failed::Unreached(Unreached::Absent)) => {}
            Err(Failed::Unreached(Unreached::Silent | Unreached::Refused)) => {
                return Ok(Some(plain(StatusCode::BAD_GATEWAY, UNREACHED)));
            }
            Err(Failed::Abort) => return Err(Abort),
        }
        self.locations.forget(self.id);
        Ok(None)
    }

    fn discard(self) {
        if let Some(body) = self.body {
            body.discard(&self.tasks.tracker);
        }
    }
}

/// How many nodes a request is passed to. More than one says that it does not have the session only while nodes come and go.
pub(super) const ATTEMPTS_MAX: usize = 3;
