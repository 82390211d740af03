//! The search for an address that can be reached. While one is silent, the next is tried beside it (RFC 8305).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;
use tracing::debug;

use super::{Dialer, Reached};
use crate::address::RemoteAddress;
use crate::chain::Chain;
use crate::descriptors;
use crate::duplex::{Duplex, Socket};
use crate::upstream::OpenError;
use crate::upstream::address::{Among, Endpoint, Place, Unchosen, Wish};
use crate::upstream::deadline::Deadline;

/// One search.
#[derive(Default)]
struct Search {
    /// What was tried, and whether that attempt has ended.
    tried: Vec<Endpoint>,
    ended: Vec<Endpoint>,
    /// Whether an address was tried without success.
    has_failed: bool,
    /// The last failure other than a timeout.
    refusal: Option<io::Error>,
}

/// An attempt to reach an address. The result is `None` for a name, once it is resolved.
type Attempt = Pin<Box<dyn Future<Output = (Place, io::Result<Option<Socket>>)> + Send>>;

impl Search {
    fn pending(&self) -> impl Iterator<Item = Endpoint> {
        self.tried.iter().copied().filter(|endpoint| !self.ended.contains(endpoint))
    }
}

impl Dialer {
    pub(super) async fn search(
        self: &Arc<Self>,
        first: Option<Place>,
        wish: Wish<'_>,
        client: Option<RemoteAddress>,
        deadline: Deadline,
    ) -> Result<Reached<'_>, OpenError> {
        let mut search =
            Search { tried: wish.tried.to_vec(), ended: wish.tried.to_vec(), ..Search::default() };
        let error = match deadline.bound(self.find(first, wish, client, &mut search)).await {
            Ok(Ok((stream, place))) => {
                let target = &self.servers[place.endpoint().server].target;
                return Ok(Reached { stream, target, place, deadline });
            }
            // That says nothing about the backend either.
            Ok(Err(Unchosen::Full)) => return Err(OpenError::Full),
            // It is a timeout only if no address gave any answer.
            Ok(Err(Unchosen::None)) => match search.refusal {
                // That says nothing about the backend.
                Some(error) if descriptors::is_shortage(&error) => {
                    return Err(OpenError::NoDescriptor(error));
                }
                Some(error) => OpenError::Down(error),
                None => OpenError::Slow(self.connect_timeout),
            },
            Err(error) => {
                // The oldest attempt is to blame if it had all the time.
                if let Some(endpoint) = search.pending().next().filter(|_| !search.has_failed) {
                    self.note_failed(endpoint, &io::ErrorKind::TimedOut.into());
                }
                error
            }
        };
        self.note_down(&error);
        Err(error)
    }

    async fn find(
        self: &Arc<Self>,
        mut first: Option<Place>,
        wish: Wish<'_>,
        client: Option<RemoteAddress>,
        search: &mut Search,
    ) -> Result<(Duplex, Place), Unchosen> {
        if self.addresses.are_all_out() {
            // The backend may have moved.
            self.resolve_all().await;
        }
        let mut attempts = FuturesUnordered::new();
        loop {
            // What failed before is dialled only once nothing else is left.
            let among = if attempts.is_empty() { Among::All } else { Among::Working };
            let wish = Wish { tried: &search.tried, ..wish };
            let next = first.take().map_or_else(|| self.addresses.choose(among, wish), Ok);
            let is_started = next.is_ok();
            match next {
                Ok(place) => {
                    search.tried.push(place.endpoint());
                    attempts.push(self.attempt(place));
                }
                Err(unchosen) if attempts.is_empty() => return Err(unchosen),
                Err(_) => {}
            }
            let ended = if is_started {
                match timeout(NEXT_DELAY, attempts.next()).await {
                    Ok(ended) => ended,
                    Err(_) => continue,
                }
            } else {
                attempts.next().await
            };
            let Some((place, ended)) = ended else { continue };
            let endpoint = place.endpoint();
            search.ended.push(endpoint);
            let secured = match ended {
                Ok(None) => continue,
                Ok(Some(stream)) => self.secure(endpoint, stream, client).await,
                Err(error) => Err(error),
            };
            match secured {
                Ok(stream) => {
                    self.note_up(endpoint);
                    self.outlast(attempts, search);
                    return Ok((stream, place));
                }
                Err(error) => self.give_up(endpoint, error, search),
            }
        }
    }

    fn attempt(self: &Arc<Self>, place: Place) -> Attempt {
        let dialer = Arc::clone(self);
        Box::pin(async move {
            let endpoint = place.endpoint();
            let ended = match endpoint.address {
                Some(_) => dialer.connect(endpoint).await.map(Some),
                None => dialer.resolve(endpoint.server).await.map(|()| None),
            };
            (place, ended)
        })
    }

    fn give_up(self: &Arc<Self>, endpoint: Endpoint, error: io::Error, search: &mut Search) {
        debug!(upstream = %self, error = %Chain(&error), "an address cannot be reached");
        if !descriptors::is_shortage(&error) {
            self.note_failed(endpoint, &error);
        }
        search.has_failed = true;
        if error.kind() != io::ErrorKind::TimedOut {
            search.refusal = Some(error);
        }
    }

    /// Finds out what becomes of the attempts that another address has overtaken: one that does not answer must not
    /// cost each client its time. A connection is closed at once.
    fn outlast(self: &Arc<Self>, mut attempts: FuturesUnordered<Attempt>, search: &Search) {
        if attempts.is_empty() {
            return;
        }
        search.pending().for_each(|endpoint| self.addresses.late(endpoint, true));
        let (dialer, stop) = (Arc::clone(self), self.background.stop.clone());
        self.background.spawn_vital("the rest of a search", async move {
            let work = async {
                while let Some((place, ended)) = attempts.next().await {
                    match ended {
                        Ok(Some(_)) => dialer.note_up(place.endpoint()),
                        Ok(None) => {}
                        Err(error) if descriptors::is_shortage(&error) => {
                            dialer.addresses.late(place.endpoint(), false);
                        }
                        Err(error) => dialer.note_failed(place.endpoint(), &error),
                    }
                }
            };
            stop.run_until_cancelled(work).await;
        });
    }
}

/// How long an address may be silent before the next one is tried beside it (RFC 8305, section 5).
const NEXT_DELAY: Duration = Duration::from_millis(250);
