//! A client that hangs up while its response is being written: both sides of its session learn of it.

use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::receipts::{ASK, Carrier, connect, serve_on};
use super::*;
use crate::bridge::{BridgeInfo, Front, Registry};
use crate::dialect;
use crate::end::End;
use crate::packet::{Closing, Heartbeat, Message, Transport};
use crate::revision::{Protocol, Versions};
use crate::route_id::RouteId;
use crate::session::{PollRefused, Pushes, Session};
use crate::transport::polling::{AnswerPoll, Asker};
use crate::upstream::{Link, LinkError, LinkEvent};

/// A backend that sends one message, and learns how the session ends.
struct Backend {
    says: Option<Message>,
    hears: Option<oneshot::Sender<Closing>>,
}

impl Link for Backend {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, _: Message) -> Result<(), LinkError> {
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<LinkEvent> {
        self.says.take().map_or(Poll::Pending, |message| Poll::Ready(LinkEvent::Message(message)))
    }

    fn held(&self) -> usize {
        0
    }

    fn keep_alive(&mut self) {}

    fn poll_close(&mut self, _: &mut Context<'_>, closing: &Closing) -> Poll<usize> {
        if let Some(hears) = self.hears.take() {
            let _ = hears.send(closing.clone());
        }
        Poll::Ready(0)
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_of_a_short_answer_ends_its_session() {
    for (carrier, len) in
        [(Carrier::Memory, 32), (Carrier::Memory, 60_000), (Carrier::Clear, 1 << 20), (Carrier::Tls, 60_000)]
    {
        let (hears, closed_with) = oneshot::channel();
        let (registry, tracker, metrics) = (Registry::new(1), TaskTracker::new(), Metrics::new());
        let known =
            dialect::Backend { protocol: Protocol::EngineIo, versions: Versions::ALL, socket_io: false };
        let dialect = (dialect::find("engine.io").unwrap().build)(&dialect::Settings::default(), known);
        let dialect::Beginning { policy, framing, .. } = dialect.begin("").unwrap();
        let pace = Heartbeat { interval: Duration::from_mins(1), timeout: Duration::from_mins(1) };
        let session = Session::new(
            policy,
            Arc::default(),
            Transport::Polling,
            pace,
            PATIENCE,
            None,
            tokio::time::Instant::now().into_std(),
        );
        let reservation = registry.reserve_fresh(&RouteId::new(None, "/")).unwrap();
        let info = BridgeInfo {
            sid: reservation.sid().clone(),
            transport: Transport::Polling,
            framing: Arc::clone(&framing),
            max_payload: 1,
            pushes: Pushes::One,
            headers: None,
            route: None,
            limited: Limited::default(),
            meter: metrics.route("test", "test"),
            tally: crate::tally::Tally::of(None),
            span: None,
            owner: None,
            tracker,
        };
        let link = Box::new(Backend { says: Some(Message::text("x".repeat(len))), hears: Some(hears) });
        let admission = registry.admit().unwrap();
        let bridge = reservation.begin(session, info, link, Front::Polling, admission);

        let polled = Arc::clone(&bridge);
        let service = service_fn(move |_: Request| {
            let asker = Asker::new(&http::HeaderMap::new(), false, false);
            let answer = AnswerPoll::new(polled.poll().unwrap(), asker, Arc::clone(&framing));
            Box::pin(async move { Ok::<_, Infallible>(answer.await) })
        });
        let (client, duplex) = connect(carrier).await;
        serve_on(duplex, service);
        let mut client = Client(client);
        client.write(ASK).await;
        client.0.read_exact(&mut [0; 32]).await.unwrap();
        drop(client);
        let closing = timeout(PATIENCE, closed_with).await.expect("the backend hears of it").unwrap();
        assert_eq!(closing, End::ClientGone.closing(), "{carrier:?} {len}");
        assert_eq!(bridge.poll().unwrap_err(), PollRefused::Over, "and so does the client");
        assert!(registry.is_settled());
    }
}
