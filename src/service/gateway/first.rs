//! The first request of a session whose id its client made: another node may have the session, or begin it at this moment.

use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use tokio::time::timeout;

use crate::directory::Id;
use crate::service::foreign::Tasks;
use crate::service::locations::{CROWDED, Settled, elsewhere};
use crate::service::named::{Named, reserve_soon};
use crate::service::replies::unavailable;
use crate::service::serving::head_len;
use crate::service::sought::{ATTEMPTS_MAX, Errand};
use crate::service::{Connection, Hop, Response, SessionRoute};
use crate::transport::{Abort, polling};

/// What such a request leads to.
pub(super) enum Led {
    /// It begins the session here.
    Here(Named),
    /// A response.
    Answered(Response),
}

/// Such a request, which may go to another node.
pub(super) struct First {
    name: String,
    /// `None` if it came from another node.
    errand: Option<Errand>,
}

impl First {
    /// Prepares a request with this id; `None` if its header is too large for other nodes.
    pub(super) fn new(
        route: &SessionRoute,
        head: &Parts,
        name: String,
        connection: &Connection,
    ) -> Option<Self> {
        let errand = match &route.locations {
            Some(locations) if connection.hop == Hop::Direct => {
                let client = route.located(&head.headers, &connection.client);
                let (id, locations, tasks) =
                    (Id::of(&route.id, &name), locations.clone(), Tasks::of(route).into());
                let head = (head, head_len(head, connection));
                Some(Errand::new(locations, id, head, &client, None, None, tasks)?)
            }
            Some(_) | None => None,
        };
        Some(Self { name, errand })
    }

    /// Passes the request to the node that has the session, or decides that it begins here. `explain` adds the route's headers
    /// to a response of this node. `park` is called if the request waits at the other node: from then on it cannot begin here.
    ///
    /// # Errors
    /// The client's connection must be dropped.
    pub(super) async fn lead(
        self,
        route: &SessionRoute,
        explain: impl Fn(&mut Response),
        park: impl Fn(),
    ) -> Result<Led, Abort> {
        let Self { name, errand } = self;
        let (Some(mut errand), Some(locations)) = (errand, &route.locations) else {
            // Another node has passed it here because this one began the session a moment ago.
            let is_free = reserve_soon(&route.registry, &route.id, &name).await.is_some();
            let elsewhere = || Led::Answered(polling::respond(elsewhere()));
            return Ok(if is_free { elsewhere() } else { Led::Here(Named::Taken) });
        };
        let mut not = None;
        for _ in 0..ATTEMPTS_MAX {
            let settled = locations.settle(&route.registry, &route.id, &name, errand.prepared(), not);
            let node = match settled.await {
                Settled::At(node) => node,
                Settled::Ours(reservation) => return Ok(Led::Here(Named::Reserved(reservation))),
                Settled::Taken => return Ok(Led::Here(Named::Taken)),
                Settled::Crowded => {
                    let mut response = unavailable(CROWDED);
                    explain(&mut response);
                    return Ok(Led::Answered(response));
                }
            };
            let mut passing = Box::pin(errand.pass_to(node));
            let (passed, is_parked) = if let Ok(passed) = timeout(PARKED_AFTER, &mut passing).await {
                (passed, false)
            } else {
                park();
                (passing.await, true)
            };
            match passed? {
                Some(mut response) => {
                    if response.status() == StatusCode::BAD_GATEWAY {
                        explain(&mut response);
                    }
                    return Ok(Led::Answered(response));
                }
                // The node has died. Its client learns it by its connection.
                None if is_parked => return Err(Abort),
                None => not = Some(node),
            }
        }
        // Other nodes begin it and let it go at this moment.
        Ok(Led::Here(Named::Taken))
    }
}

/// How long the header of a request that was passed on is kept, so that its session can begin here if there is none.
const PARKED_AFTER: Duration = Duration::from_secs(1);
