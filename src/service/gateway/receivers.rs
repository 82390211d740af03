//! Receivers that are not parked at once, because their session has another or has ended.

use std::sync::Arc;

use crate::bridge::{Bridge, ReceiverRefused};
use crate::cluster::Cluster;
use crate::dialect::{Framing, Refusal};
use crate::service::Response;
use crate::service::named::{ATTEMPTS, PAUSE};
use crate::session::{PollRefused, Terms};
use crate::transport::polling::{self, AnswerPoll, Asker};

/// What becomes of a receiver that is retried.
pub(super) enum Alone {
    /// It is parked.
    Parked(AnswerPoll),
    /// It is a stream, or refused.
    Answered(Response),
}

/// Retries until the receiver is the only one; refuses it after the last attempt. The other one may wait at a node that hangs: then
/// its client has been told nothing, and was sent here by a balancer that knows. So it gives its place up once that node is taken for
/// silent.
pub(super) async fn retry_until_alone(
    bridge: &Arc<Bridge>,
    framing: Arc<dyn Framing>,
    mut terms: Terms,
    asker: Asker,
    cluster: Option<&Cluster>,
) -> Alone {
    let mut by_peer = ATTEMPTS_BY_PEER;
    for attempt in 1.. {
        tokio::time::sleep(PAUSE).await;
        let is_by_peer = bridge.is_received_by_peer();
        if is_by_peer
            && attempt == by_peer
            && let Some(cluster) = cluster
            && !cluster.askers_are_there().await
        {
            by_peer += ATTEMPTS_BY_PEER;
        }
        let attempts = if is_by_peer { by_peer } else { ATTEMPTS };
        terms.insists = attempt >= attempts;
        let refused = if framing.streams() {
            match bridge.stream(terms) {
                Ok(parked) => return Alone::Answered(polling::answer_stream(parked, asker, framing)),
                Err(refused) => refused,
            }
        } else {
            match bridge.poll_on(terms) {
                Ok(parked) => return Alone::Parked(AnswerPoll::new(parked, asker, framing)),
                Err(refused) => refused,
            }
        };
        if refused != OCCUPIED || terms.insists {
            return Alone::Answered(refuse(&*framing, refused, bridge));
        }
    }
    Alone::Answered(polling::refuse(&*framing, Refusal::Overlap))
}

/// Enough attempts to see the end of another node's connection, which may come later than a client's own.
const ATTEMPTS_BY_PEER: usize = 100;

/// The refusal of a receiver because another is parked.
pub(super) const OCCUPIED: ReceiverRefused = ReceiverRefused::Poll(PollRefused::Occupied);

/// Refuses a receiver.
pub(super) fn refuse(framing: &dyn Framing, refused: ReceiverRefused, bridge: &Bridge) -> Response {
    match refused {
        ReceiverRefused::Poll(refused) => polling::refuse_request(framing, refused, bridge),
        ReceiverRefused::Cursor(refused) => polling::respond(framing.refuse_cursor(refused)),
    }
}
