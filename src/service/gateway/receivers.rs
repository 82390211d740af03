//! Receivers that are not parked at once, because their session has another or has ended.

use std::sync::Arc;

use crate::bridge::{Bridge, ReceiverRefused};
use crate::dialect::{Framing, Refusal};
use crate::service::Response;
use crate::service::handshake::{ATTEMPTS, PAUSE};
use crate::session::{PollRefused, Terms};
use crate::transport::polling::{self, AnswerPoll, Asker};

/// Retries until the receiver is the only one, then answers it; refuses it after the last attempt.
pub(super) async fn retry_until_alone(
    bridge: &Arc<Bridge>,
    framing: Arc<dyn Framing>,
    terms: Terms,
    asker: Asker,
) -> Response {
    for attempt in 1.. {
        tokio::time::sleep(PAUSE).await;
        let refused = if framing.streams() {
            match bridge.stream(terms) {
                Ok(parked) => return polling::answer_stream(parked, asker, framing),
                Err(refused) => refused,
            }
        } else {
            match bridge.poll_on(terms) {
                Ok(parked) => return AnswerPoll::new(parked, asker, framing).await,
                Err(refused) => refused,
            }
        };
        if refused != OCCUPIED || attempt == ATTEMPTS {
            return refuse(&*framing, refused, bridge);
        }
    }
    polling::refuse(&*framing, Refusal::Overlap)
}

/// The refusal of a receiver because another is parked.
pub(super) const OCCUPIED: ReceiverRefused = ReceiverRefused::Poll(PollRefused::Occupied);

/// Refuses a receiver.
pub(super) fn refuse(framing: &dyn Framing, refused: ReceiverRefused, bridge: &Bridge) -> Response {
    match refused {
        ReceiverRefused::Poll(refused) => refuse_poll(framing, refused, bridge),
        ReceiverRefused::Cursor(refused) => polling::respond(framing.refuse_cursor(refused)),
    }
}

/// Refuses a request for a session.
pub(super) fn refuse_poll(framing: &dyn Framing, refused: PollRefused, bridge: &Bridge) -> Response {
    let refusal = match refused {
        // The dialect decides what a second receiver is sent; its policy has already refused it.
        PollRefused::Overlap | PollRefused::Occupied => Refusal::Overlap,
        PollRefused::WrongTransport => Refusal::WrongTransport,
        PollRefused::Over => return polling::refuse_ended(framing, bridge),
    };
    if let Some(closing) = framing.refuse_in_band(refusal, None) {
        return polling::report_end(framing, closing);
    }
    polling::refuse(framing, refusal)
}
