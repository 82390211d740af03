//! A request for a session of another node, which is asked for the response.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use http_body::Body as _;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cors::{Asked, CorsLayer};
use super::locations::ELSEWHERE;
use super::replies::plain;
use super::serving::Serving;
use super::session_route::SessionRoute;
use super::{Client, Hop, Response};
use crate::cluster::{Broken, Cluster, Owner, Peer, PeerStream, Prepared, Question, Unreached};
use crate::dialect::Answered;
use crate::meter::{Asked as Outcome, Side};
use crate::peer::{Flags, Follows, Head};
use crate::sid::Node;
use crate::transport::web_socket_ask::{Upgrading, WebSocketAsk};
use crate::transport::{Abort, Body, InBody, polling};

/// The node that a request's session id names.
#[derive(Debug)]
pub(super) struct Foreign {
    owner: Owner,
    cluster: Arc<Cluster>,
    /// The response if that node does not have the session either.
    unknown: Box<Answered>,
}

/// A request that was read so far.
pub(super) struct Asking {
    pub(super) head: Parts,
    pub(super) body: InBody,
    /// Its WebSocket handshake, if it has one.
    pub(super) ask: Option<WebSocketAsk>,
    /// Its client's address, as trusted proxies tell it, and whether TLS ends here.
    pub(super) client: Client,
    pub(super) origin: Asked,
    pub(super) cors: Arc<CorsLayer>,
    pub(super) tasks: Tasks,
}

/// Where what outlives the request runs.
#[derive(Clone)]
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
    /// Returns the node to ask about this id, which this node does not know.
    ///
    /// # Errors
    /// The response, `unknown`: the id names nobody else, or somebody else asks, whose requests are not passed on again.
    pub(super) fn find(
        route: &SessionRoute,
        sid: &str,
        hop: Hop,
        unknown: Box<Answered>,
    ) -> Result<Self, Box<Answered>> {
        let owner = |cluster: &Cluster| match hop {
            Hop::Direct => cluster.owner_of(sid),
            Hop::Peer => cluster.kin().owner_of(sid),
            Hop::Kin => None,
        };
        match route.cluster.as_ref().and_then(|cluster| Some((cluster, owner(cluster)?))) {
            Some((cluster, owner)) => Ok(Self { owner, cluster: Arc::clone(cluster), unknown }),
            None => Err(unknown),
        }
    }

    /// Passes a request on, and its response back: the other node decides all of it.
    pub(super) fn serve(self, asking: Asking) -> Serving {
        let Asking { head, body, ask, client, origin, cors, tasks } = asking;
        let flags = Flags {
            has_body: !body.is_end_stream(),
            upgrades: ask.is_some(),
            secure: client.secure,
            is_search: false,
        };
        let Ok(prepared) = Prepared::new(&head, client.peer, flags) else {
            polling::discard(body, &tasks.tracker);
            return Serving::done(too_large());
        };
        let mut body = Some(body).filter(|_| flags.has_body);
        let Self { owner, cluster, unknown } = self;
        Serving::other(async move {
            match pass(&cluster, owner, &prepared, &mut body, &tasks).await {
                Ok((head, question)) => Ok(answer(&cluster, head, question, ask, &tasks)),
                Err(Failed::Abort) => Err(Abort),
                Err(Failed::Unreached(why)) => {
                    let mut response = match why {
                        Unreached::Absent => polling::respond(unknown.reply),
                        Unreached::Silent | Unreached::Refused => plain(StatusCode::BAD_GATEWAY, UNREACHED),
                    };
                    cors.apply(&origin, &mut response);
                    Ok(response)
                }
            }
        })
    }
}

/// Why there is no response.
pub(super) enum Failed {
    /// The client's connection is dropped.
    Abort,
    Unreached(Unreached),
}

/// Passes a request to a node, and waits for the header of its response. The body is left if that node was not asked.
pub(super) async fn pass(
    cluster: &Cluster,
    owner: Owner,
    prepared: &Prepared,
    body: &mut Option<InBody>,
    tasks: &Tasks,
) -> Result<(Head, Question), Failed> {
    let open = cluster.meter().ask(Side::Asker);
    let since = Instant::now();
    let has_body = body.is_some();
    let Owner { node, peer } = owner;
    let peer = match peer {
        Some(peer) => Some(peer),
        None => cluster.look_for(node.tag).await,
    };
    let passed = match peer {
        Some(peer) => ask(&peer, node, prepared, body, tasks).await,
        None => Err(Failed::Unreached(Unreached::Absent)),
    };
    open.end(match &passed {
        Ok((head, _)) if head.status == ELSEWHERE => Outcome::Unknown,
        Ok(_) => Outcome::Answered,
        Err(Failed::Abort) => Outcome::Lost,
        Err(Failed::Unreached(Unreached::Absent)) => Outcome::Unknown,
        Err(Failed::Unreached(Unreached::Silent | Unreached::Refused)) => Outcome::Unreachable,
    });
    if has_body && passed.is_ok() {
        cluster.meter().answered_after(since.elapsed());
    }
    passed
}

/// Asks the node. If the connection breaks meanwhile, a request without a body is asked again: its session goes on.
async fn ask(
    peer: &Arc<Peer>,
    node: Node,
    prepared: &Prepared,
    body: &mut Option<InBody>,
    tasks: &Tasks,
) -> Result<(Head, Question), Failed> {
    let has_body = body.is_some();
    let (mut dials, mut breaks) = (0, 0);
    loop {
        let mut question = match peer.ask(node, prepared) {
            Ok(question) => question,
            Err(Some(why)) => return Err(Failed::Unreached(why)),
            // It takes connections, and keeps none.
            Err(None) if dials > BREAKS_MAX => return Err(Failed::Unreached(Unreached::Silent)),
            Err(None) => {
                dials += 1;
                peer.connect(Some(node)).await.map_err(Failed::Unreached)?;
                continue;
            }
        };
        if breaks > 0 && has_body {
            // The node is there, and it is not known what it has done.
            return Err(Failed::Abort);
        }
        let answered = poll_fn(|cx| {
            if let Some(unsent) = &mut *body
                && let Poll::Ready(sent) = question.poll_body(Pin::new(unsent), cx)
            {
                if sent.is_err() {
                    return Poll::Ready(Err(Broken::Refused));
                }
                *body = None;
            }
            question.poll_head(cx)
        });
        match answered.await {
            Ok(head) => {
                if let Some(unsent) = body.take() {
                    polling::discard(unsent, &tasks.tracker);
                }
                return Ok((head, question));
            }
            Err(Broken::Refused) => return Err(Failed::Abort),
            Err(Broken::Connection) if breaks == BREAKS_MAX => {
                return Err(Failed::Unreached(Unreached::Silent));
            }
            Err(Broken::Connection) => breaks += 1,
        }
    }
}

/// Returns the response of the other node.
pub(super) fn answer(
    cluster: &Cluster,
    head: Head,
    question: Question,
    ask: Option<WebSocketAsk>,
    tasks: &Tasks,
) -> Response {
    let Head { status, mut headers, follows } = head;
    let mut response = Response::default();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(ask) = ask {
            let (upgrading, stream) = (ask.into_upgrading(), question.into_stream());
            // In a drain, its owner closes it at a quiet moment.
            let open = cluster.meter().tunnel();
            tasks.tracker.spawn(async move {
                join(upgrading, stream).await;
                drop(open);
            });
        }
    } else {
        *response.body_mut() = match follows {
            Follows::Nothing => Body::default(),
            Follows::Bytes => Body::from(question.into_body(None)),
            Follows::Body(len) => Body::from(question.into_body(Some(len))),
        };
    }
    if tasks.draining.is_cancelled() && status != StatusCode::SWITCHING_PROTOCOLS {
        // Its client's next request is to come by another node.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Returns the response to a request whose header does not cross.
pub(super) fn too_large() -> Response {
    plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, TOO_LARGE)
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
/// How often a request is asked again.
const BREAKS_MAX: u32 = 2;
/// The buffer of each direction of a stream.
const BUFFER_LEN: usize = 8 << 10;
