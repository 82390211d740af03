//! The body of a request to the backend: watched, and held back if the backend must be asked first.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::body_pace::{BodyLimits, Pace, TooSlow};
use crate::budget::Charge;
use crate::client_body::ClientBody;

/// A client's body as hyper reads it for the backend.
pub(super) struct RequestBody {
    /// `None` if the request has no body, or the backend does not want it.
    incoming: Option<ClientBody>,
    watch: Option<Arc<Watch>>,
    gate: Option<Pin<Box<dyn Future<Output = Permission> + Send>>>,
    /// Counts the piece that is being written: the next is taken only once there is room for it.
    charge: Option<Charge>,
    /// How many more bytes it may have.
    left: u64,
}

impl RequestBody {
    /// Creates an empty body.
    pub(super) const fn empty() -> Self {
        Self { incoming: None, watch: None, gate: None, charge: None, left: 0 }
    }

    /// Creates a body that flows as soon as the backend reads it or, if the client expects a 100, once the backend
    /// allows it.
    pub(super) fn new(
        incoming: ClientBody,
        charge: Charge,
        expectation: Expectation,
        limits: BodyLimits,
    ) -> (Self, Arc<Watch>) {
        let permission = match expectation {
            Expectation::None => None,
            Expectation::Continue => Some(watch::channel(Permission::None).0),
        };
        let expects = permission.is_some();
        let watch = Arc::new(Watch {
            began: Instant::now(),
            moved_ms: AtomicU64::new(0),
            asks_client: AtomicBool::new(false),
            limits,
            pace: Mutex::new(Pace::new(incoming.is_end_stream())),
            rest: Mutex::default(),
            permission,
        });
        let decided = Arc::clone(&watch);
        let gate = expects.then(|| Box::pin(async move { decided.decided().await }) as _);
        let left = limits.max.map_or(u64::MAX, |max| max as u64);
        let (incoming, charge, seen) = (Some(incoming), Some(charge), Some(Arc::clone(&watch)));
        (Self { incoming, watch: seen, gate, charge, left }, watch)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while let Some(gate) = &mut self.gate {
            match ready!(gate.as_mut().poll(cx)) {
                Permission::None | Permission::Continue => self.gate = None,
                Permission::Refused => {
                    // From now on the client's connection knows that its body will not be read.
                    self.incoming = None;
                    let watch = self.watch.clone();
                    self.gate = Some(Box::pin(async move { Watch::over(watch).await }));
                }
                Permission::Over => return Poll::Ready(Some(Err(BodyError::Refused))),
            }
        }
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *incoming).poll_frame(cx);
        let len = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(_) | Poll::Pending => 0,
        };
        let is_over = matches!(polled, Poll::Ready(None | Some(Err(_)))) || incoming.is_end_stream();
        if let Some(watch) = &this.watch {
            watch.note(polled.is_pending(), len as u64, is_over);
        }
        let Some(left) = this.left.checked_sub(len as u64) else {
            let rest = this.incoming.take();
            if let Some(watch) = &this.watch {
                *watch.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
            }
            return Poll::Ready(Some(Err(BodyError::TooLarge)));
        };
        this.left = left;
        if let (Some(charge), Poll::Ready(Some(Ok(frame)))) = (&mut this.charge, &polled) {
            charge.set(frame.data_ref().map_or(0, Bytes::len));
        }
        polled.map_err(BodyError::Client)
    }

    fn is_end_stream(&self) -> bool {
        self.gate.is_none() && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client's connection broke, or it sent a malformed body.
    #[error("the client's request body is incomplete")]
    Client(#[source] hyper::Error),
    /// It is larger than its route allows.
    #[error("the client's request body is too large")]
    TooLarge,
    /// The backend answered without asking for it, and its response is complete.
    #[error("the backend refused the body")]
    Refused,
}

/// Whether the client waits for a 100 before it sends (RFC 9110, section 10.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expectation {
    None,
    Continue,
}

/// The backend's answer to a client that asks first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Permission {
    /// None yet.
    None,
    /// The body may be sent.
    Continue,
    /// The final response came first.
    Refused,
    /// That response was read.
    Over,
}

/// What others observe and decide about a body in transit.
#[derive(Debug)]
pub(super) struct Watch {
    began: Instant,
    /// When the body last moved, in milliseconds since it began.
    moved_ms: AtomicU64,
    /// Whether the client's next piece is awaited.
    asks_client: AtomicBool,
    limits: BodyLimits,
    pace: Mutex<Pace>,
    /// What is left of a body that was too large.
    rest: Mutex<Option<ClientBody>>,
    /// Only if the client asks first.
    permission: Option<watch::Sender<Permission>>,
}

impl Watch {
    /// Returns when the body last moved, or began to.
    pub(super) fn moved(&self) -> Instant {
        self.began + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed))
    }

    /// Returns whether the client's next piece is awaited.
    pub(super) fn asks_client(&self) -> bool {
        self.asks_client.load(Ordering::Relaxed)
    }

    /// Handles the backend's 100.
    pub(super) fn allow(&self) {
        self.decide(Permission::Continue);
    }

    /// Handles the backend's final response; returns whether it came instead of a 100.
    pub(super) fn answered(&self) -> bool {
        self.decide(Permission::Refused)
    }

    /// Notes that the backend's response was read, or given up.
    pub(super) fn finish(&self) {
        if let Some(permission) = &self.permission {
            permission.send_replace(Permission::Over);
        }
    }

    /// Returns what is left of a body that was too large.
    pub(super) fn take_rest(&self) -> Option<ClientBody> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns when to look again; `None` if nothing more of the body is awaited.
    ///
    /// # Errors
    /// The client is too slow.
    pub(super) fn check_pace(&self) -> Result<Option<Instant>, TooSlow> {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.check(&self.limits, self.began, Instant::now())
    }

    fn note(&self, pending: bool, len: u64, is_over: bool) {
        self.asks_client.store(pending, Ordering::Relaxed);
        let now = Instant::now();
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).note(pending, len, is_over, now);
        if !pending {
            let moved = u64::try_from((now - self.began).as_millis()).unwrap_or(u64::MAX);
            self.moved_ms.store(moved, Ordering::Relaxed);
        }
    }

    /// Sets the permission; only the first one counts.
    fn decide(&self, permission: Permission) -> bool {
        self.permission.as_ref().is_some_and(|decided| {
            decided.send_if_modified(|current| {
                let first = *current == Permission::None;
                if first {
                    *current = permission;
                }
                first
            })
        })
    }

    async fn decided(&self) -> Permission {
        let Some(permission) = &self.permission else { return Permission::Continue };
        let mut current = permission.subscribe();
        if timeout(PATIENCE, current.wait_for(|permission| *permission != Permission::None)).await.is_err() {
            self.allow();
        }
        *current.borrow_and_update()
    }

    async fn over(watch: Option<Arc<Self>>) -> Permission {
        if let Some(permission) = watch.as_ref().and_then(|watch| watch.permission.as_ref()) {
            let _ = permission.subscribe().wait_for(|permission| *permission == Permission::Over).await;
        }
        Permission::Over
    }
}

/// A backend that ignores `Expect` is not waited for longer than clients wait.
const PATIENCE: Duration = Duration::from_secs(1);
