//! POSTs of a session's client.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::receivers;
use crate::bridge::Bridge;
use crate::dialect::{Framing, PushForm, Refusal};
use crate::service::Response;
use crate::session::Pushes;
use crate::transport::polling::{self, Asker};
use crate::transport::{Abort, InBody};

/// Takes a POST, and returns the response to it. `tracker` knows who reads on from a body that nobody needs.
pub(super) async fn take(
    bridge: Arc<Bridge>,
    framing: Arc<dyn Framing>,
    form: Option<PushForm>,
    body: InBody,
    asker: Asker,
    tracker: &TaskTracker,
) -> Result<Response, Abort> {
    if bridge.info().pushes == Pushes::Queued {
        let Some(form) = form else {
            polling::discard(body, tracker);
            return Ok(polling::refuse(&*framing, Refusal::Unreadable));
        };
        return polling::take_queued_push(&bridge, form, body, asker, framing).await;
    }
    // Before the type is judged, as in the reference's `onDataRequest`: a second POST is an overlap of any type.
    let push = match bridge.push() {
        Ok(push) => push,
        Err(refused) => {
            polling::discard(body, tracker);
            return Ok(receivers::refuse_poll(&*framing, refused, &bridge));
        }
    };
    let Some(form) = form else {
        push.refuse_invalid();
        polling::discard(body, tracker);
        return Ok(polling::refuse(&*framing, Refusal::Unreadable));
    };
    polling::take_push(push, form, body, asker, framing).await
}
