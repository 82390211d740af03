//! A request for a session of another node, which is asked for the response.

use std::sync::Arc;

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tokio::io::copy_bidirectional_with_sizes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cors::{Asked, CorsLayer};
use super::passing::{Failed, Passing};
use super::replies::plain;
use super::serving::Serving;
use super::session_route::SessionRoute;
use super::unknown::Unknown;
use super::unsent::Unsent;
use super::{Client, Hop, Response};
use crate::cluster::{Cluster, Owner, PeerStream, Prepared, Question, Unreached};
use crate::peer::{Content, Head, Known, Read};
use crate::sid::Node;
use crate::transport::web_socket_ask::{Upgrading, WebSocketAsk};
use crate::transport::{Abort, Body, InBody, polling};

/// The node that a request's session id names.
#[derive(Debug)]
pub(super) struct Foreign {
    owner: Owner,
    cluster: Arc<Cluster>,
    /// What that node need not read again.
    read: Option<Read>,
    /// The response if that node does not have the session either.
    unknown: Unknown,
}

/// A request that was read so far.
pub(super) struct Asking {
    pub(super) head: Parts,
    /// How long its header was.
    pub(super) head_len: usize,
    pub(super) body: InBody,
    /// Its WebSocket handshake, if it has one.
    pub(super) ask: Option<WebSocketAsk>,
    /// Its client's address, as trusted proxies tell it, and whether TLS ends here.
    pub(super) client: Client,
    pub(super) origin: Asked,
    pub(super) cors: Arc<CorsLayer>,
    pub(super) tasks: Arc<Tasks>,
}

/// Where what outlives a route's requests runs.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) tracker: TaskTracker,
    draining: CancellationToken,
}

impl Tasks {
    /// Returns where the tasks of a route run.
    pub(super) fn of(route: &SessionRoute) -> Self {
        Self { tracker: route.tracker.clone(), draining: route.draining.clone() }
    }
}

impl Foreign {
    /// Returns the node to ask about an id that this node does not know, and that names `node`.
    ///
    /// # Errors
    /// The response, `unknown`: the id names nobody else, or somebody else asks, whose requests are not passed on again.
    pub(super) fn find(
        route: &SessionRoute,
        node: Node,
        hop: Hop,
        read: Option<Read>,
        unknown: Unknown,
    ) -> Result<Self, Unknown> {
        let owner = |cluster: &Cluster| match hop {
            Hop::Direct => cluster.owner_of(node),
            Hop::Peer => cluster.kin().owner_of(node),
            Hop::Kin => None,
        };
        match route.cluster.as_ref().and_then(|cluster| Some((cluster, owner(cluster)?))) {
            Some((cluster, owner)) => Ok(Self { owner, cluster: Arc::clone(cluster), read, unknown }),
            None => Err(unknown),
        }
    }

    /// Passes a request on, and its response back: the other node decides all of it.
    pub(super) fn serve(self, asking: Asking) -> Serving {
        let Asking { head, head_len, body, ask, client, origin, cors, tasks } = asking;
        let Self { owner, cluster, read, unknown } = self;
        let known = Known { read, ..known(head_len, &client, ask.as_ref()) };
        let body = Unsent::new(body);
        let content = Unsent::content(body.as_ref());
        let Ok(prepared) = Prepared::new(&head, client.peer, known, &content) else {
            if let Some(body) = body {
                body.discard(&tasks.tracker);
            }
            return too_large(&cors, &origin);
        };
        let mut passing = Passing::new(cluster, owner, prepared, body, tasks.tracker.clone());
        // Few requests have one, and each that waits would reserve room for it.
        let ask = ask.map(Box::new);
        Serving::other(async move {
            // Where it stands: moved, it would take its room twice.
            let passed = (&mut passing).await;
            let mut response = match passed {
                Ok((head, question)) => {
                    cors.hear(&origin, head.headers.map());
                    let ask = ask.map(|ask| *ask);
                    return Ok(answer(passing.cluster(), *head, question, ask, &tasks));
                }
                Err(Failed::Abort) => return Err(Abort),
                Err(Failed::Unreached(Unreached::Absent)) => polling::respond(unknown.answer().reply),
                Err(Failed::Unreached(Unreached::Silent | Unreached::Refused)) => {
                    plain(StatusCode::BAD_GATEWAY, UNREACHED)
                }
            };
            cors.apply(&origin, &mut response);
            Ok(response)
        })
    }
}

/// Returns what another node is told of a request.
pub(super) fn known(head_len: usize, client: &Client, ask: Option<&WebSocketAsk>) -> Known {
    let head_len = u32::try_from(head_len).unwrap_or(u32::MAX);
    Known { head_len, upgrades: ask.is_some(), secure: client.secure, ..Known::default() }
}

/// Returns the response of the other node.
pub(super) fn answer(
    cluster: &Cluster,
    head: Head,
    question: Question,
    ask: Option<WebSocketAsk>,
    tasks: &Tasks,
) -> Response {
    let Head { status, headers, content } = head;
    let is_usual = status.is_success() && !matches!(content, Content::Pieces(_));
    let body = if status == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(ask) = ask {
            let (upgrading, stream) = (ask.into_upgrading(), question.into_stream());
            // In a drain, its owner closes it at a quiet moment.
            let open = cluster.meter().tunnel();
            tasks.tracker.spawn(async move {
                join(upgrading, stream).await;
                drop(open);
            });
        }
        Body::default()
    } else {
        match content {
            Content::Nothing => Body::default(),
            Content::Whole(bytes) => Body::from(bytes),
            Content::Awaited(bytes) => {
                let receipt = question.into_receipt(bytes.len());
                Body::delivery(bytes, receipt)
            }
            Content::Pieces(len) => Body::from(question.into_body(len)),
        }
    };
    let is_draining = tasks.draining.is_cancelled();
    let mut response = if is_usual && headers.are_shared() && !is_draining {
        // Most often they were written before, for another response.
        Response::new(body.with_headers(headers))
    } else {
        let mut response = Response::new(body);
        *response.headers_mut() = headers.into_map();
        response
    };
    *response.status_mut() = status;
    if is_draining && status != StatusCode::SWITCHING_PROTOCOLS {
        // Its client's next request is to come by another node.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Returns the response to a request whose header does not cross.
pub(super) fn too_large(cors: &CorsLayer, origin: &Asked) -> Serving {
    let mut response = plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, TOO_LARGE);
    cors.apply(origin, &mut response);
    Serving::done(response)
}

/// Copies the bytes behind a 101, and understands none of them.
async fn join(upgrading: Upgrading, mut stream: PeerStream) {
    let Some((client, read)) = upgrading.stream().await else { return };
    let mut client = client.behind(read);
    let ended = copy_bidirectional_with_sizes(&mut client, &mut stream, BUFFER_LEN, BUFFER_LEN).await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a stream to another node broke");
    }
}

pub(super) const UNREACHED: &str = "the session's node cannot be reached\n";
const TOO_LARGE: &str = "the request's header is too large\n";
/// The buffer of each direction of a stream.
const BUFFER_LEN: usize = 8 << 10;
