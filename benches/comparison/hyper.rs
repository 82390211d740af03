//! The yardstick: bare hyper. A GET waits until its number's group gets a message; a POST is read and answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::sync::oneshot;

use crate::serve::{commands, connections};
use crate::words::{GROUP, PACKET, number_in};

/// Serves until it is killed.
pub(crate) async fn run(address: SocketAddr, control: SocketAddr) -> anyhow::Result<()> {
    let waiting = Arc::new(Waiting::default());
    let service = {
        let waiting = Arc::clone(&waiting);
        service_fn(move |request| answer(request, Arc::clone(&waiting)))
    };
    let pushes = commands(control, move |group| waiting.push(group)).await?;
    connections(address, service).await?;
    pushes.await?
}

async fn answer(
    request: Request<Incoming>,
    waiting: Arc<Waiting>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.method() == Method::POST {
        drop(request.into_body().collect().await?);
        return Ok(Response::new(Full::new(Bytes::from_static(b"ok"))));
    }
    let number = number_in(request.uri().query().unwrap_or_default()).unwrap_or_default();
    // The request is freed before the wait, as in the proxy.
    drop(request);
    let message = waiting.wait(number).await.unwrap_or_default();
    Ok(Response::new(Full::new(message)))
}

/// The waiting requests, by their number.
#[derive(Default)]
struct Waiting(Mutex<Vec<Place>>);

#[derive(Default)]
enum Place {
    #[default]
    Empty,
    Taken(oneshot::Sender<Bytes>),
    /// The message came first.
    Owed,
}

impl Waiting {
    fn wait(&self, number: usize) -> oneshot::Receiver<Bytes> {
        let (sender, receiver) = oneshot::channel();
        self.with(number, |place| match std::mem::take(place) {
            Place::Empty | Place::Taken(_) => *place = Place::Taken(sender),
            // The waiter still exists: we hold its receiver.
            Place::Owed => drop(sender.send(message())),
        });
        receiver
    }

    fn push(&self, group: usize) {
        for number in group * GROUP..(group + 1) * GROUP {
            self.with(number, |place| match std::mem::take(place) {
                Place::Empty | Place::Owed => *place = Place::Owed,
                // If the waiter is gone, its client is too.
                Place::Taken(sender) => drop(sender.send(message())),
            });
        }
    }

    fn with(&self, number: usize, act: impl FnOnce(&mut Place)) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() <= number {
            places.resize_with(number + 1, Place::default);
        }
        act(&mut places[number]);
    }
}

const fn message() -> Bytes {
    Bytes::from_static(PACKET.as_bytes())
}
