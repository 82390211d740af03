//! Handshakes at the addresses that were reached, and what their outcome says about an address.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::Dialer;
use crate::chain::Chain;
use crate::duplex::Duplex;
use crate::upstream::address::{Endpoint, Purpose, Struck, Wish};
use crate::upstream::deadline::Deadline;
use crate::upstream::handshake::{self, Accepted, Terms};
use crate::upstream::target::Target;
use crate::upstream::{Host, OpenError, OpenRequest, Relayed};

impl Dialer {
    /// Connects to an address, which is returned too, and requests a WebSocket.
    pub(in crate::upstream) async fn open(
        self: &Arc<Self>,
        request: OpenRequest,
        terms: &Terms,
        deadline: Deadline,
    ) -> Result<(Accepted, Endpoint), OpenError> {
        let perform = |stream, target, request| handshake::perform(stream, target, request, terms);
        let (accepted, endpoint, _) = self.shake(request, deadline, perform).await?;
        self.judge(endpoint, None);
        Ok((accepted, endpoint))
    }

    /// Does the same, and then `begin`, which is the last part of the handshake.
    pub(in crate::upstream) async fn open_with<T, F>(
        self: &Arc<Self>,
        request: OpenRequest,
        terms: &Terms,
        deadline: Deadline,
        begin: impl FnOnce(Accepted) -> F,
    ) -> Result<T, OpenError>
    where
        F: Future<Output = Result<T, OpenError>>,
    {
        let perform = |stream, target, request| handshake::perform(stream, target, request, terms);
        let (accepted, endpoint, deadline) = self.shake(request, deadline, perform).await?;
        let output = deadline.bound(begin(accepted)).await.flatten();
        self.judge(endpoint, output.as_ref().err());
        output
    }

    /// Requests a WebSocket with the client's own handshake headers.
    pub(in crate::upstream) async fn relay(
        self: &Arc<Self>,
        request: OpenRequest,
        host: Host,
        deadline: Deadline,
    ) -> Result<Relayed, OpenError> {
        let perform = |stream, target, request| handshake::perform_for(stream, target, request, host);
        let (relayed, endpoint, _) = self.shake(request, deadline, perform).await?;
        self.judge(endpoint, None);
        Ok(relayed)
    }

    /// Notes that an address says that it stops within this time: while others work, it gets nothing new.
    pub(in crate::upstream) fn note_stopping(self: &Arc<Self>, endpoint: Endpoint, patience: Duration) {
        if self.addresses.stopping(endpoint, patience.min(STOPPING_MAX)) {
            info!(upstream = %self, address = %self.name(endpoint), "the address is about to stop; other addresses are used");
            self.start_prober();
        }
    }

    /// Performs a handshake; with another address if one hangs up without an answer, or has no shared connection to
    /// give. Returns its outcome, where that was, and until when the rest must be done.
    async fn shake<'d, T, F>(
        self: &'d Arc<Self>,
        mut request: OpenRequest,
        deadline: Deadline,
        perform: impl Fn(Duplex, &'d Target, OpenRequest) -> F,
    ) -> Result<(T, Endpoint, Deadline), OpenError>
    where
        F: Future<Output = Result<T, OpenError>>,
    {
        let (purpose, key) = (self.purpose, self.key_of(&request));
        let client = Some(request.client);
        let (mut tried, mut lost) = (Vec::new(), None);
        loop {
            let reached =
                match self.dial_from(None, Wish { purpose, tried: &tried, key }, client, deadline).await {
                    Ok(reached) => reached,
                    Err(error) => return Err(lost.unwrap_or(error)),
                };
            let (endpoint, deadline) = (reached.place.endpoint(), reached.deadline);
            tried.push(endpoint);
            let again = (self.retry && self.addresses.has_other(&tried)).then(|| request.clone());
            let (stream, target) = reached.in_use();
            let error = match deadline.bound(perform(stream, target, request)).await.flatten() {
                Ok(output) => return Ok((output, endpoint, deadline)),
                Err(error) => error,
            };
            self.judge(endpoint, Some(&error));
            match again {
                Some(again) if self.is_for_the_next(&error) => request = again,
                Some(_) | None => return Err(error),
            }
            lost.get_or_insert(error);
        }
    }

    /// Returns whether another address may get a handshake that failed like this.
    fn is_for_the_next(&self, error: &OpenError) -> bool {
        match error {
            // A handshake is a GET: a server that did not answer it may get it twice (RFC 9110, section 9.2.2).
            OpenError::Down(_) => true,
            // A client gets the backend's refusal. For a shared connection there is none: a backend that stops says no more.
            OpenError::Refused(refused) => {
                self.purpose == Purpose::Other && refused.reply.status.is_server_error()
            }
            OpenError::Slow(_)
            | OpenError::Protocol(_)
            | OpenError::HeaderTooLarge
            | OpenError::Full
            | OpenError::NoDescriptor(_)
            | OpenError::NoRandomness(_) => false,
        }
    }

    /// Notes what the outcome of a handshake says about its address.
    fn judge(self: &Arc<Self>, endpoint: Endpoint, error: Option<&OpenError>) {
        match error {
            None => self.note_served(endpoint),
            Some(OpenError::Refused(refused)) if !refused.reply.status.is_server_error() => {
                self.note_served(endpoint);
            }
            // That is this process's own fault.
            Some(OpenError::NoDescriptor(_) | OpenError::NoRandomness(_) | OpenError::Full) => {}
            Some(
                error @ (OpenError::Refused(_)
                | OpenError::Down(_)
                | OpenError::Slow(_)
                | OpenError::Protocol(_)
                | OpenError::HeaderTooLarge),
            ) => self.note_struck(endpoint, error),
        }
    }

    fn note_served(&self, endpoint: Endpoint) {
        if self.addresses.served(endpoint) {
            info!(upstream = %self, address = %self.name(endpoint), "the address completes handshakes again");
        }
    }

    fn note_struck(self: &Arc<Self>, endpoint: Endpoint, error: &OpenError) {
        let Struck::Out(line) = self.addresses.struck(endpoint) else { return };
        if let Some(count) = line {
            let address = self.name(endpoint);
            warn!(upstream = %self, %address, error = %Chain(error), count, "the address completes no handshakes; other addresses are used");
        }
        self.start_prober();
    }
}

/// Whatever it says: another process may be there by then.
const STOPPING_MAX: Duration = Duration::from_mins(5);
