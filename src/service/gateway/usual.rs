//! Polls and POSTs: what a request does that has found its session.

use std::sync::Arc;

use http::HeaderMap;

use super::Gateway;
use super::receivers::{self, Alone};
use crate::bridge::Bridge;
use crate::dialect::{Framing, PushForm};
use crate::meter::Op;
use crate::service::cors::Asked;
use crate::service::serving::{Serving, count_answer};
use crate::service::{Connection, Response};
use crate::session::Terms;
use crate::transport::InBody;
use crate::transport::polling::{self, AnswerPoll, Asker};

impl Gateway {
    /// Returns what is kept of a request's headers until its response.
    pub(super) fn asker(&self, headers: &HeaderMap, may_compress: bool) -> Asker {
        let compresses = self.route.settings.compression && may_compress;
        Asker::new(headers, compresses, self.dialect.spares_legacy_ie())
    }

    /// Returns whether a request comes from the client that its session belongs to.
    pub(super) fn is_from_owner(
        &self,
        bridge: &Bridge,
        headers: &HeaderMap,
        connection: &Connection,
    ) -> bool {
        let address = || self.route.address_of(headers, &connection.client);
        bridge.info().owner.as_ref().is_none_or(|owner| owner.sent(address, headers))
    }

    /// Parks a poll, if its session has no other.
    pub(super) fn poll(
        self: Arc<Self>,
        bridge: Arc<Bridge>,
        framing: Arc<dyn Framing>,
        terms: Terms,
        asker: Asker,
        body: InBody,
        origin: Asked,
    ) -> Serving {
        // An empty body may end in a later packet: if nothing reads that, hyper closes the connection.
        polling::skip(body, &self.route.tracker);
        let terms = Terms { growth: framing.growth(), ..terms };
        match bridge.poll_on(terms) {
            Ok(parked) => {
                let answer = AnswerPoll::new(parked, asker, framing);
                Serving::poll(answer, Arc::clone(&self.cors), origin)
            }
            Err(receivers::OCCUPIED) => self.serve_later(bridge, framing, terms, asker, origin),
            Err(refused) => self.answered(Op::Poll, &origin, receivers::refuse(&*framing, refused, &bridge)),
        }
    }

    /// Reads a POST into its session.
    pub(super) fn push(
        self: Arc<Self>,
        bridge: Arc<Bridge>,
        framing: Arc<dyn Framing>,
        form: Option<PushForm>,
        asker: Asker,
        body: InBody,
        origin: Asked,
    ) -> Serving {
        let limits = self.route.settings.body;
        Serving::other(async move {
            let mut response = polling::answer_push(bridge, framing, form, body, asker, limits).await?;
            self.cors.apply(&origin, &mut response);
            count_answer(&self.route.meter, Op::Push, &response);
            Ok(response)
        })
    }

    /// Returns the response to a request that needs no time.
    pub(super) fn answered(&self, op: Op, origin: &Asked, mut response: Response) -> Serving {
        self.cors.apply(origin, &mut response);
        count_answer(&self.route.meter, op, &response);
        Serving::done(response)
    }

    /// Serves a receiver that arrived while another one is parked. The other's client may have just disconnected on a
    /// connection whose end was not read yet, and nothing depends on a quick refusal.
    #[expect(
        clippy::async_yields_async,
        reason = "what is found may be a poll that waits, which is served as one"
    )]
    pub(super) fn serve_later(
        self: Arc<Self>,
        bridge: Arc<Bridge>,
        framing: Arc<dyn Framing>,
        terms: Terms,
        asker: Asker,
        origin: Asked,
    ) -> Serving {
        Serving::later(async move {
            let mut response = match receivers::retry_until_alone(
                &bridge,
                framing,
                terms,
                asker,
                self.route.cluster.as_deref(),
            )
            .await
            {
                Alone::Parked(answer) => return Serving::poll(answer, Arc::clone(&self.cors), origin),
                Alone::Answered(response) => response,
            };
            self.cors.apply(&origin, &mut response);
            count_answer(&self.route.meter, Op::Poll, &response);
            Serving::done(response)
        })
    }
}
