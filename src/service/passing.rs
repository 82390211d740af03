//! A request on its way to another node, until the header of its response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::locations::ELSEWHERE;
use super::unsent::Unsent;
use crate::cluster::{Broken, Cluster, Owner, Peer, Prepared, Question, Unreached};
use crate::meter::{Asked as Outcome, OpenAsk, Side};
use crate::peer::Head;
use crate::sid::Node;
use crate::transport::{InBody, polling};

/// Passes a request to a node, and waits for the header of its response. If the connection breaks meanwhile, a request
/// without a body is asked again: its session goes on. Written by hand, because polls wait in it.
pub(super) struct Passing {
    cluster: Arc<Cluster>,
    node: Node,
    peer: Option<Arc<Peer>>,
    prepared: Prepared,
    /// What was not sent yet.
    body: Option<Unsent>,
    /// When it began to cross, if it has a body.
    since: Option<Instant>,
    stage: Stage,
    dials: u8,
    breaks: u8,
    open: Option<OpenAsk>,
    tracker: TaskTracker,
}

enum Stage {
    /// The node is to be asked next.
    Ready,
    /// It was asked, and this was not sent yet.
    Asked(Question, Option<InBody>),
    /// The node is looked for.
    Looking(Pin<Box<dyn Future<Output = Option<Arc<Peer>>> + Send>>),
    Connecting(Pin<Box<dyn Future<Output = Result<(), Unreached>> + Send>>),
}

/// Why there is no response.
pub(super) enum Failed {
    /// The client's connection is dropped.
    Abort,
    Unreached(Unreached),
}

impl Passing {
    /// Begins it. What is left of its body in the end is read by a task of `tracker`.
    pub(super) fn new(
        cluster: Arc<Cluster>,
        owner: Owner,
        prepared: Prepared,
        body: Option<Unsent>,
        tracker: TaskTracker,
    ) -> Self {
        let Owner { node, peer } = owner;
        let open = Some(cluster.meter().ask(Side::Asker));
        let since = body.is_some().then(Instant::now);
        let stage = if peer.is_some() {
            Stage::Ready
        } else {
            let cluster = Arc::clone(&cluster);
            Stage::Looking(Box::pin(async move { cluster.look_for(node).await }))
        };
        Self { cluster, node, peer, prepared, body, since, stage, dials: 0, breaks: 0, open, tracker }
    }

    /// The nodes.
    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns the request again, with its body if the node was not asked.
    pub(super) fn into_request(self) -> (Prepared, Option<Unsent>) {
        (self.prepared, self.body)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Box<Head>, Question), Failed>> {
        loop {
            match &mut self.stage {
                Stage::Ready => self.stage = self.ask(cx)?,
                Stage::Looking(peer) => {
                    self.peer = ready!(peer.as_mut().poll(cx));
                    self.stage = Stage::Ready;
                }
                Stage::Connecting(connected) => {
                    ready!(connected.as_mut().poll(cx)).map_err(Failed::Unreached)?;
                    self.stage = Stage::Ready;
                }
                Stage::Asked(question, body) => {
                    let head = match ready!(poll_head(question, body, cx)) {
                        Ok(head) => head,
                        Err(Broken::Refused) => return Poll::Ready(Err(Failed::Abort)),
                        Err(Broken::Connection) if self.breaks == BREAKS_MAX => {
                            return Poll::Ready(Err(Failed::Unreached(Unreached::Silent)));
                        }
                        Err(Broken::Connection) => {
                            self.breaks += 1;
                            self.stage = Stage::Ready;
                            continue;
                        }
                    };
                    let stage = std::mem::replace(&mut self.stage, Stage::Ready);
                    if let Stage::Asked(question, unsent) = stage {
                        if let Some(unsent) = unsent {
                            polling::discard(unsent, &self.tracker);
                        }
                        return Poll::Ready(Ok((head, question)));
                    }
                }
            }
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>) -> Result<Stage, Failed> {
        let Some(peer) = &self.peer else { return Err(Failed::Unreached(Unreached::Absent)) };
        if let Some(body) = &mut self.body {
            body.read(cx).map_err(|_| Failed::Abort)?;
        }
        let whole = self.body.as_ref().and_then(Unsent::whole);
        match peer.ask(self.node, &self.prepared, whole) {
            // The node is there, and it is not known what it has done.
            Ok(_) if self.breaks > 0 && self.since.is_some() => Err(Failed::Abort),
            Ok(question) => {
                let is_sent = whole.is_some();
                let (read, rest) = self.body.take().map(Unsent::into_parts).unwrap_or_default();
                if let Some(read) = read.filter(|_| !is_sent) {
                    question.send(read);
                }
                Ok(Stage::Asked(question, rest))
            }
            Err(Some(why)) => Err(Failed::Unreached(why)),
            // It takes connections, and keeps none.
            Err(None) if self.dials > BREAKS_MAX => Err(Failed::Unreached(Unreached::Silent)),
            Err(None) => {
                self.dials += 1;
                let (peer, node) = (Arc::clone(peer), self.node);
                Ok(Stage::Connecting(Box::pin(async move { peer.connect(Some(node)).await })))
            }
        }
    }
}

impl Future for Passing {
    type Output = Result<(Box<Head>, Question), Failed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let passed = ready!(this.poll_answer(cx));
        if let Some(open) = this.open.take() {
            open.end(match &passed {
                Ok((head, _)) if head.status == ELSEWHERE => Outcome::Unknown,
                Ok(_) => Outcome::Answered,
                Err(Failed::Abort) => Outcome::Lost,
                Err(Failed::Unreached(Unreached::Absent)) => Outcome::Unknown,
                Err(Failed::Unreached(Unreached::Silent | Unreached::Refused)) => Outcome::Unreachable,
            });
        }
        if passed.is_ok()
            && let Some(since) = this.since
        {
            this.cluster.meter().answered_after(since.elapsed());
        }
        Poll::Ready(passed)
    }
}

/// Sends what there is of the body, and polls for the header of the response.
fn poll_head(
    question: &mut Question,
    body: &mut Option<InBody>,
    cx: &mut Context<'_>,
) -> Poll<Result<Box<Head>, Broken>> {
    if let Some(unsent) = body
        && let Poll::Ready(sent) = question.poll_body(Pin::new(unsent), cx)
    {
        if sent.is_err() {
            return Poll::Ready(Err(Broken::Refused));
        }
        *body = None;
    }
    question.poll_head(cx)
}

/// How often a request is asked again.
const BREAKS_MAX: u8 = 2;
