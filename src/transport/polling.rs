//! HTTP long-polling: a GET waits for packets, a POST carries some.

mod reading;
mod refusals;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};

use self::reading::{ReadFailed, read_body};
pub use self::refusals::{
    discard, is_empty, refuse, refuse_ended, refuse_request, report_end, respond, skip,
};
use super::compress::{self, Coding};
use super::stream::Stream;
use super::{Abort, Body, InBody, Response};
use crate::agent::is_legacy_ie;
use crate::bridge::{Bridge, BridgeInfo, Delivery, ParkedPoll, ParkedStream, Push};
use crate::dialect::{Framing, PollBody, PushForm, Refusal};
use crate::meter::{Direction, Meter};
use crate::packet::{Packet, Text, Transport};
use crate::session::{Joined, PushOutcome, Pushes};
use crate::upstream::{BodyLimits, TooSlow};

/// What is kept of a poll's request while it waits. Keeping the headers would cost 7 kB more per parked request.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Whether the client is Internet Explorer.
    legacy_ie: bool,
    /// The coding that the client accepts for a long response.
    coding: Option<Coding>,
}

impl Asker {
    /// Reads a request's headers. `compresses` is false if the response is too short to compress or must not be
    /// compressed; `spares_ie` is whether the dialect has other headers for Internet Explorer.
    pub fn new(headers: &HeaderMap, compresses: bool, spares_ie: bool) -> Self {
        let coding = if compresses { Coding::of(headers) } else { None };
        let is_legacy_ie = || headers.get(USER_AGENT).is_some_and(|agent| is_legacy_ie(agent.as_bytes()));
        Self { legacy_ie: spares_ie && is_legacy_ie(), coding }
    }

    pub(super) fn headers(
        self,
        framing: &dyn Framing,
        content_type: HeaderValue,
        info: &BridgeInfo,
        headers: &mut HeaderMap,
    ) {
        if let (None, Some(ready)) = (&info.headers, framing.ready_headers()) {
            headers.clone_from(ready);
            return;
        }
        if let Some(common) = &info.headers {
            headers.extend(common.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, content_type);
        }
        framing.add_headers(self.legacy_ie, headers);
    }
}

/// Waits for packets and responds with them. Written by hand, because most requests wait in it.
pub struct AnswerPoll {
    meter: Meter,
    asker: Asker,
    framing: Arc<dyn Framing>,
    stage: Stage,
}

enum Stage {
    Parked(ParkedPoll),
    /// A long response is being compressed.
    Compressing(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl AnswerPoll {
    /// Creates a future that answers the poll as soon as its session has packets for it.
    pub fn new(parked: ParkedPoll, asker: Asker, framing: Arc<dyn Framing>) -> Self {
        let meter = parked.bridge().info().meter.clone();
        Self { meter, asker, framing, stage: Stage::Parked(parked) }
    }

    /// Has it answered at once.
    pub fn release(&self) {
        if let Stage::Parked(parked) = &self.stage {
            parked.release();
        }
    }

    /// Gives its place back, if nothing was made of it yet: its session lives on.
    pub fn withdraw(self) {
        if let Stage::Parked(parked) = self.stage {
            parked.withdraw();
        }
    }

    /// Returns the meter of its session.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl Future for AnswerPoll {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let this = self.get_mut();
        if let Stage::Parked(parked) = &mut this.stage {
            let Some(delivery) = ready!(Pin::new(&mut *parked).poll(cx)) else {
                return Poll::Ready(refuse_ended(&*this.framing, parked.bridge()));
            };
            let info = delivery.bridge().info();
            let body = this.framing.encode_numbered(delivery.packets(), delivery.last());
            this.meter.batch(delivery.packets().len(), body.bytes.len());
            let payload: usize = delivery.packets().iter().map(Packet::message_len).sum();
            let overhead = body.bytes.len().saturating_sub(payload);
            this.meter.overhead(Direction::ToClient, Transport::Polling, overhead as u64);
            let mut headers = HeaderMap::new();
            this.asker.headers(&*this.framing, body.content_type.clone(), info, &mut headers);
            let worth = compress::is_compressible(delivery.packets(), body.bytes.len());
            let Some(coding) = this.asker.coding.filter(|_| worth) else {
                return Poll::Ready(deliver(body.status, headers, body.bytes, delivery));
            };
            this.stage = Stage::Compressing(Box::pin(compressed(coding, headers, body, delivery)));
        }
        match &mut this.stage {
            Stage::Compressing(answer) => answer.as_mut().poll(cx),
            // The stage was changed above.
            Stage::Parked(_) => Poll::Pending,
        }
    }
}

impl fmt::Debug for AnswerPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerPoll")
    }
}

fn deliver(status: StatusCode, headers: HeaderMap, bytes: Bytes, delivery: Delivery) -> Response {
    let receipt = delivery.into_receipt(bytes.len());
    let mut response = Response::new(Body::delivery(bytes, receipt));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn compressed(coding: Coding, mut headers: HeaderMap, body: PollBody, delivery: Delivery) -> Response {
    let PollBody { status, bytes, .. } = body;
    match compress(coding, &bytes, &delivery).await {
        Some(shorter) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            delivery.bridge().info().meter.compressed(bytes.len().saturating_sub(shorter.len()));
            deliver(status, headers, shorter, delivery)
        }
        None => deliver(status, headers, bytes, delivery),
    }
}

/// Compresses a body, a long one on a thread where it blocks no other client. Returns `None` if that fails.
async fn compress(coding: Coding, body: &Bytes, delivery: &Delivery) -> Option<Bytes> {
    if body.len() <= INLINE_LEN_MAX {
        return coding.compress(body);
    }
    let body = body.clone();
    let tracker = &delivery.bridge().info().tracker;
    tracker.spawn_blocking(move || coding.compress(&body)).await.ok().flatten()
}

/// Answers a request with a stream, whose head and prelude are sent at once.
pub fn answer_stream(parked: ParkedStream, asker: Asker, framing: Arc<dyn Framing>) -> Response {
    let head = framing.begin_stream();
    let mut response = Response::default();
    asker.headers(&*framing, head.content_type.clone(), parked.bridge().info(), response.headers_mut());
    *response.body_mut() = Body::from(Stream::new(parked, framing, head));
    response
}

/// Takes a POST, and answers it once the link has accepted its messages. `form` is `None` for a type that cannot be read,
/// `limits` say how slowly its body may come.
///
/// # Errors
/// Returns [`Abort`] if the connection is to be dropped: the session ended while the body was being read, or the body
/// was not received in full.
pub async fn answer_push(
    bridge: Arc<Bridge>,
    framing: Arc<dyn Framing>,
    form: Option<PushForm>,
    body: InBody,
    asker: Asker,
    limits: BodyLimits,
) -> Result<Response, Abort> {
    let tracker = &bridge.info().tracker;
    if bridge.info().pushes == Pushes::Queued {
        let Some(form) = form else {
            discard(body, tracker);
            return Ok(refuse(&*framing, Refusal::Unreadable));
        };
        return take_queued_push(&bridge, form, (body, limits), asker, framing).await;
    }
    // Before the type is judged, as in the reference's `onDataRequest`: a second POST is an overlap of any type.
    let push = match bridge.push() {
        Ok(push) => push,
        Err(refused) => {
            discard(body, tracker);
            return Ok(refuse_request(&*framing, refused, &bridge));
        }
    };
    let Some(form) = form else {
        push.refuse_invalid();
        discard(body, tracker);
        return Ok(refuse(&*framing, Refusal::Unreadable));
    };
    // Its heartbeat judges the pace: nobody answers a ping while the POST lasts. After an upgrade only the time counts.
    let limits = BodyLimits { min_rate: 0, ..limits };
    take_push(push, form, (body, limits), asker, framing).await
}

/// Reads the body of the session's only POST, and passes its messages on.
async fn take_push(
    mut push: Push,
    form: PushForm,
    (mut body, limits): (InBody, BodyLimits),
    asker: Asker,
    framing: Arc<dyn Framing>,
) -> Result<Response, Abort> {
    let info = push.bridge().info_shared();
    let bridge = push.bridge_shared();
    let read = tokio::select! {
        biased;
        read = read_body(&mut body, info.max_payload, limits, &bridge) => read,
        () = push.interrupted() => return Err(Abort),
    };
    let body = match read {
        Ok(body) => body,
        Err(ReadFailed::TooLarge) => {
            push.withdraw();
            discard(body, &info.tracker);
            return Ok(refuse(&*framing, Refusal::TooLarge));
        }
        Err(ReadFailed::Slow(slow)) => {
            push.withdraw();
            return Ok(refuse_slow(&*framing, slow, &info));
        }
        // Dropping the push notifies the session.
        Err(ReadFailed::Broken) => return Err(Abort),
    };
    let body = mended(&*framing, form, body);
    let len = body.len();
    let packets = match framing.decode_push(form, body) {
        Ok(packets) => packets,
        Err(reply) => {
            push.withdraw();
            return Ok(respond(*reply));
        }
    };
    match push.send(packets, len).await {
        PushOutcome::Accepted => Ok(answer_taken(asker, &*framing, &info)),
        PushOutcome::Refused => Ok(refuse(&*framing, Refusal::Over)),
        PushOutcome::Destroyed => Err(Abort),
    }
}

/// Does the same for a session whose POSTs are queued. A POST that breaks or cannot be decoded has no effect.
async fn take_queued_push(
    bridge: &Bridge,
    form: PushForm,
    (mut body, limits): (InBody, BodyLimits),
    asker: Asker,
    framing: Arc<dyn Framing>,
) -> Result<Response, Abort> {
    let info = bridge.info();
    let place = bridge.push_place().await;
    let body = match read_body(&mut body, info.max_payload, limits, bridge).await {
        Ok(body) => body,
        Err(ReadFailed::TooLarge) => {
            discard(body, &info.tracker);
            return Ok(refuse(&*framing, Refusal::TooLarge));
        }
        Err(ReadFailed::Slow(slow)) => return Ok(refuse_slow(&*framing, slow, info)),
        Err(ReadFailed::Broken) => return Err(Abort),
    };
    let body = mended(&*framing, form, body);
    let len = body.len();
    let packets = match framing.decode_push(form, body) {
        Ok(packets) => packets,
        Err(reply) => return Ok(respond(*reply)),
    };
    let outcome = match bridge.join(framing.push_number(), packets, len, place) {
        // A session that has ended sends no verdict: its messages were not accepted.
        Ok(verdict) => verdict.await.unwrap_or(PushOutcome::Refused),
        Err(Joined::Taken(())) => PushOutcome::Accepted,
        Err(Joined::Gap((), expected)) => return Ok(respond(framing.refuse_gap(expected))),
        Err(Joined::Broken(()) | Joined::Waits) => PushOutcome::Refused,
    };
    Ok(match outcome {
        PushOutcome::Accepted => answer_taken(asker, &*framing, info),
        PushOutcome::Refused | PushOutcome::Destroyed => refuse_ended(&*framing, bridge),
    })
}

/// Returns a body as long as it is kept: text that is mended may be three times as long as it was sent.
fn mended(framing: &dyn Framing, form: PushForm, body: Bytes) -> Bytes {
    let is_text = matches!(form, PushForm::Text | PushForm::Form);
    // A short one is checked once only, when it is decoded.
    if is_text && body.len() > SHORT_LEN && framing.mends_text() {
        Text::lossy(body).into_bytes()
    } else {
        body
    }
}

/// Refuses a POST whose body is given up: its session goes on, and the connection ends behind the response.
fn refuse_slow(framing: &dyn Framing, slow: TooSlow, info: &BridgeInfo) -> Response {
    info.limited.reached(slow.limit(), None);
    refuse(framing, Refusal::TooSlow)
}

/// Returns the response to a POST whose messages the link has accepted.
pub fn answer_taken(asker: Asker, framing: &dyn Framing, info: &BridgeInfo) -> Response {
    let PollBody { status, content_type, bytes } = framing.encode_taken();
    info.meter.overhead(Direction::ToClient, Transport::Polling, bytes.len() as u64);
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    asker.headers(framing, content_type, info, response.headers_mut());
    response
}

/// About a millisecond of work: a longer body would delay the other clients of this thread.
const INLINE_LEN_MAX: usize = 64 << 10;
/// A body that takes no more, if it is mended, than what a request takes anyhow.
const SHORT_LEN: usize = 4 << 10;
/// Every parked poll holds one.
const _: () = assert!(size_of::<Asker>() <= 4, "an asker is a few flags, not a head");
