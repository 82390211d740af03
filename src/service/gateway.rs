//! Routes a request: its dialect reads it, the index finds its session, the dialect decides what the request does
//! there, and the gateway carries that out.

mod environment;
mod first;
mod owned;
mod read;
mod receivers;
mod task;
mod usual;

use std::sync::{Arc, Mutex, PoisonError};

use http::header::UPGRADE;
use http::request::Parts;

use self::environment::RouteEnvironment;
use self::first::{First, Led};
use self::task::{Elsewhere, Task};
use super::cors::{Asked, CorsLayer, DefaultRule};
use super::foreign::{self, Asking, Tasks};
use super::handshake::{Arrival, Handshake};
use super::moves::Moves;
use super::named::Named;
use super::serving::{Serving, count_answer, count_request, head_len};
use super::session_route::SessionRoute;
use super::sought::Passed;
use super::unknown::Unknown;
use super::{Connection, Hop, Response, preflight};
use crate::bridge::{ClientSocket, Entry, Located, turn_away};
use crate::dialect::{
    Act, Answered, Ask, Beginning, Dialect, Framing, Note, Operation, Place, Refusal, Request, RequestKind,
};
use crate::fingerprint::Fingerprint;
use crate::large_head::LargeHead;
use crate::meter::Op;
use crate::session::Terms;
use crate::sid::Sid;
use crate::spelling::HeadBytes;
use crate::transport::polling::{self, Asker};
use crate::transport::web_socket_ask::{WebSocketAsk, first_protocol};
use crate::transport::{Abort, InBody};

/// Serves the requests of one route of a dialect.
#[derive(Debug)]
pub struct Gateway {
    dialect: Arc<dyn Dialect>,
    pub(super) route: SessionRoute,
    cors: Arc<CorsLayer>,
    tasks: Arc<Tasks>,
    /// The same at each node with this route.
    number: u64,
}

impl Gateway {
    /// Creates the gateway of a route whose clients speak `dialect`.
    pub fn new(dialect: Arc<dyn Dialect>, route: SessionRoute) -> Self {
        let settings = &route.settings;
        let default_rule = match (dialect.speaks_cors(), route.upstream.is_old()) {
            (true, _) => DefaultRule::Dialect,
            (false, true) => DefaultRule::OldBackend,
            (false, false) => DefaultRule::Backend,
        };
        let cors = Arc::new(CorsLayer::new(&settings.cors, default_rule, settings.response_headers.clone()));
        let tasks = Arc::new(Tasks::of(&route));
        // Whatever else the nodes have.
        let number = Fingerprint::of(format!("{} {}", dialect.name(), route.id).as_bytes()).number();
        Self { dialect, route, cors, tasks, number }
    }

    /// Serves one request.
    #[expect(
        clippy::async_yields_async,
        reason = "what is found may be a poll that waits, which is served as one"
    )]
    pub(super) fn serve(self: &Arc<Self>, head: Parts, body: InBody, connection: &Connection) -> Serving {
        let origin = self.cors.ask(&head.headers);
        if let Some(response) = self.cors.answer_preflight(&head, &origin) {
            self.route.meter.request(Op::Other, response.status().as_u16());
            return Serving::done(response);
        }
        let this = Arc::clone(self);
        if !self.cors.mirrors_options(&head) {
            return this.route(head, body, connection, origin);
        }
        let connection = connection.clone();
        Serving::later(async move {
            let asked = preflight::ask(&this.handshake(), &head, &connection.client, &this.cors).await;
            let Some(mut response) = asked else {
                return this.route(head, body, &connection, origin);
            };
            this.route.meter.request(Op::Other, response.status().as_u16());
            this.cors.apply(&origin, &mut response);
            Serving::done(response)
        })
    }

    fn handshake(&self) -> Handshake<'_> {
        Handshake { dialect: &*self.dialect, route: &self.route }
    }

    /// Routes a request to its session. Its head is dropped before a poll is parked: keeping it would cost 7 kB per poll.
    fn route(
        self: Arc<Self>,
        mut head: Parts,
        body: InBody,
        connection: &Connection,
        origin: Asked,
    ) -> Serving {
        let asks_upgrade = head.headers.contains_key(UPGRADE);
        let ask = if asks_upgrade { WebSocketAsk::take(&mut head) } else { None };
        let kind = ask.as_ref().map_or(RequestKind::Http, |_| RequestKind::WebSocket);
        let task = match self.decide(&head, kind, connection) {
            Ok(task) => task,
            // The other node counts it as what it is.
            Err(Elsewhere::Passed(passed)) => {
                let client = self.route.located(&head.headers, &connection.client);
                let (cors, tasks) = (Arc::clone(&self.cors), Arc::clone(&self.tasks));
                let head_len = head_len(&head, connection);
                return passed.serve(Asking { head, head_len, body, ask, client, origin, cors, tasks });
            }
            Err(Elsewhere::Answered(answered)) => {
                polling::discard(body, &self.route.tracker);
                return self.answer(&head, *answered, &origin);
            }
        };
        let op = task.op();
        count_request(&self.route.meter, op, &head, connection);
        if !head.extensions.is_empty() {
            task.note(&head.extensions);
        }
        let answered = |response| self.answered(op, &origin, response);
        let compresses = !matches!(task, Task::Push(..));
        let asker = self.asker(&head.headers, compresses);
        match task {
            Task::Poll(bridge, framing, terms) => self.poll(bridge, framing, terms, asker, body, origin),
            Task::Stream(bridge, framing, terms) => {
                polling::skip(body, &self.route.tracker);
                let terms = Terms { growth: framing.growth(), ..terms };
                match bridge.stream(terms) {
                    Ok(parked) => answered(polling::answer_stream(parked, asker, framing)),
                    Err(receivers::OCCUPIED) => self.serve_later(bridge, framing, terms, asker, origin),
                    Err(refused) => answered(receivers::refuse(&*framing, refused, &bridge)),
                }
            }
            Task::Leave(bridge, framing) => {
                polling::skip(body, &self.route.tracker);
                answered(match bridge.leave() {
                    Ok(()) => polling::answer_taken(asker, &*framing, bridge.info()),
                    Err(refused) => polling::refuse_request(&*framing, refused, &bridge),
                })
            }
            Task::Upgrade(bridge, framing) => {
                let len_max = bridge.info().max_payload.min(PROBE_LEN_MAX);
                let moves = (connection.hop != Hop::Direct).then(|| Moves::of(&bridge));
                let probe = move |socket| async move {
                    if let Err(socket) = bridge.probe(socket) {
                        turn_away(socket).await;
                    }
                };
                let mut response = self.take_socket(ask, &head, &framing, len_max, probe);
                if let Some(moves) = moves {
                    response.extensions_mut().insert(moves);
                }
                answered(response)
            }
            Task::ReportEnd(framing, closing) => {
                polling::discard(body, &self.route.tracker);
                answered(polling::report_end(&*framing, closing))
            }
            Task::TurnAway(framing) => answered(self.take_socket(ask, &head, &framing, 0, turn_away)),
            Task::Push(bridge, framing) => {
                // The head stays out of the future: it is large, and would be copied with it.
                let form = framing.read_push(&head.headers);
                self.push(bridge, framing, form, asker, body, origin)
            }
            Task::Begin(beginning, Some(name)) if self.route.locations.is_some() => {
                polling::skip(body, &self.route.tracker);
                self.begin_somewhere((head, beginning, asker), name, connection, origin, op)
            }
            Task::Begin(beginning, named) => {
                // The backend receives these headers.
                head.extensions.insert(HeadBytes(connection.raw_headers.request()));
                LargeHead::copy(&mut head, 1);
                let client = connection.client.clone();
                Serving::other(async move {
                    let named = named.map(Named::Chosen);
                    let arrival = Arrival { head, ask, client, beginning, named, asker };
                    Ok(self.begin_alone(body, arrival, &origin, op).await)
                })
            }
        }
    }

    /// Begins a session, unless another node has it or begins it.
    fn begin_somewhere(
        self: Arc<Self>,
        mut first: (Parts, Box<Beginning>, Asker),
        name: String,
        connection: &Connection,
        origin: Asked,
        op: Op,
    ) -> Serving {
        let Some(prepared) = First::new(&self.route, &first.0, name, connection) else {
            return foreign::too_large(&self.cors, &origin);
        };
        first.0.extensions.insert(HeadBytes(connection.raw_headers.request()));
        LargeHead::copy(&mut first.0, 1);
        let client = connection.client.clone();
        let kept = Box::new(Mutex::new(Some(first)));
        let take = move || kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        Serving::other(async move {
            let explain = |response: &mut Response| self.cors.apply(&origin, response);
            let named = match prepared.lead(&self.route, explain, || drop(take())).await? {
                Led::Here(named) => Some(named),
                Led::Answered(response) => return Ok(response),
            };
            let Some((head, beginning, asker)) = take() else { return Err(Abort) };
            let arrival = Arrival { head, ask: None, client, beginning, named, asker };
            // It is large, and most of these requests wait at another node.
            Ok(Box::pin(self.begin(arrival, &origin, op)).await)
        })
    }

    async fn begin_alone(&self, mut body: InBody, arrival: Arrival, origin: &Asked, op: Op) -> Response {
        if let Some(refusal) = arrival.beginning.framing.refuse_body()
            && !polling::is_empty(&mut body).await
        {
            polling::discard(body, &self.route.tracker);
            let mut response = polling::respond(refusal);
            self.cors.apply(origin, &mut response);
            count_answer(&self.route.meter, op, &response);
            return response;
        }
        polling::skip(body, &self.route.tracker);
        self.begin(arrival, origin, op).await
    }

    async fn begin(&self, arrival: Arrival, origin: &Asked, op: Op) -> Response {
        let mut response = self.handshake().begin(arrival, &self.cors).await;
        self.cors.apply(origin, &mut response);
        count_answer(&self.route.meter, op, &response);
        response
    }

    /// Reads a request, finds its session, and decides what the request does there.
    fn decide(&self, head: &Parts, kind: RequestKind, connection: &Connection) -> Result<Task, Elsewhere> {
        let path = inner_path(head, &self.route.settings.path);
        let request = Request { head, path, kind, environment: &RouteEnvironment(&self.route) };
        let (sid, intent) = match self.dialect.read(&request)? {
            Ask::Begin(beginning) => return Ok(Task::Begin(beginning, None)),
            Ask::TurnAway(framing) => return Ok(Task::TurnAway(framing)),
            Ask::Session(sid, intent) => (sid, intent),
        };
        let pass = |unknown, read| {
            let passed = Passed::new(&self.route, &sid, connection.hop, read, unknown);
            passed.map_or_else(|unknown| unknown.answer().into(), Elsewhere::Passed)
        };
        let mut located = self.route.registry.find(&self.route.id, &sid);
        if connection.hop != Hop::Direct && matches!(located, Located::Nowhere) && Sid::node(&sid).is_none() {
            // If no process of this host has it, the other node looks again.
            return Err(pass(Unknown::Elsewhere, None));
        }
        // A request for another client's session gets the same response as one for an unknown session.
        if let Located::Here(Entry::Bridge(bridge)) = &located
            && !self.is_from_owner(bridge, &head.headers, connection)
        {
            located = Located::Nowhere;
        }
        let place = match &located {
            Located::Here(entry) => Place::Here(entry.known()),
            Located::Opening => Place::Opening,
            Located::Gone(ending) => Place::Gone(ending),
            Located::Nowhere => Place::Nowhere,
        };
        // What receives may begin the session.
        let begins = matches!(intent.operation, Operation::Receive(_));
        if !begins && self.route.may_be_elsewhere(&place, &sid) {
            let read = self.read(head, &sid, &intent);
            return Err(pass(Unknown::Nowhere(Arc::clone(&self.dialect), intent, kind), read));
        }
        let act = self.dialect.judge(intent, &place, &request)?;
        match (act, located) {
            (Act::Begin(beginning), _) => Ok(Task::Begin(beginning, Some(sid.into_owned()))),
            (Act::TurnAway(framing), _) => Ok(Task::TurnAway(framing)),
            (Act::ReportEnd(framing, closing), _) => {
                self.route.registry.renew(&self.route.id, &sid);
                Ok(Task::ReportEnd(framing, closing))
            }
            (Act::Poll(framing, terms), Located::Here(Entry::Bridge(bridge))) => {
                Ok(Task::Poll(bridge, framing, Terms { by_peer: connection.hop != Hop::Direct, ..terms }))
            }
            (Act::Stream(framing, terms), Located::Here(Entry::Bridge(bridge))) => {
                Ok(Task::Stream(bridge, framing, Terms { by_peer: connection.hop != Hop::Direct, ..terms }))
            }
            (Act::Push(framing), Located::Here(Entry::Bridge(bridge))) => Ok(Task::Push(bridge, framing)),
            (Act::Leave(framing), Located::Here(Entry::Bridge(bridge))) => Ok(Task::Leave(bridge, framing)),
            (Act::Upgrade(framing), Located::Here(Entry::Bridge(bridge))) => {
                Ok(Task::Upgrade(bridge, framing))
            }
            // No session here can take it.
            (
                Act::Poll(framing, _)
                | Act::Stream(framing, _)
                | Act::Push(framing)
                | Act::Leave(framing)
                | Act::Upgrade(framing),
                Located::Here(Entry::Relay(_)) | Located::Opening | Located::Gone(_) | Located::Nowhere,
            ) => Err(Elsewhere::Answered(framing.refuse(Refusal::WrongTransport, kind).into())),
        }
    }

    /// Returns the response to a request that needs no session.
    fn answer(&self, head: &Parts, answered: Answered, origin: &Asked) -> Serving {
        let Answered { reply, note, hold } = answered;
        self.route.meter.request(Op::Other, reply.status.as_u16());
        let other = match note {
            Note::Nothing => None,
            Note::Version(written) => {
                self.route.refusals.note_version(&written);
                None
            }
            Note::Method => self.cors.answer_options(head),
        };
        let mut response = other.unwrap_or_else(|| polling::respond(reply));
        self.cors.apply(origin, &mut response);
        if hold.is_zero() { Serving::done(response) } else { Serving::held(response, hold) }
    }

    /// Upgrades a request's connection to a WebSocket, and passes that on to `then`.
    fn take_socket<T: Future<Output = ()> + Send>(
        &self,
        ask: Option<WebSocketAsk>,
        head: &Parts,
        framing: &Arc<dyn Framing>,
        max_payload: usize,
        then: impl FnOnce(Box<dyn ClientSocket>) -> T + Send + 'static,
    ) -> Response {
        let refuse = |refusal| polling::respond(framing.refuse(refusal, RequestKind::WebSocket));
        let Some(ask) = ask else { return refuse(Refusal::WrongTransport) };
        self.route
            .take_socket(ask, first_protocol(&head.headers), Arc::clone(framing), max_payload, then)
            .unwrap_or_else(|why| refuse(Refusal::BadWebSocket(why)))
    }
}

/// The longest message of a candidate for an upgrade, as long as it is one: any number of them may be refused, and what they
/// send is the session's only then.
const PROBE_LEN_MAX: usize = 4 << 10;

/// Returns a request's path after its route's prefix, starting with the prefix's final slash.
fn inner_path<'h>(head: &'h Parts, prefix: &str) -> &'h str {
    head.uri.path().strip_prefix(prefix.strip_suffix('/').unwrap_or(prefix)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
