//! Two upgraded connections as one: bytes cross as they come, whatever they mean.

use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

use crate::chain::Chain;
use crate::duplex::Stalled;
use crate::meter::{Broken, Meter};

/// Joins a client's connection to a backend's once both have switched protocols; ready when both have ended, or one
/// has broken.
///
/// Neither has a limit for its silence; both have [patience](crate::duplex::Patience) with an end that takes nothing.
pub async fn run(client: OnUpgrade, backend: OnUpgrade, meter: Meter) {
    // A client that is gone before it got its 101 takes the backend's connection with it.
    let Ok((client, backend)) = tokio::try_join!(client, backend) else { return };
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    match copy_bidirectional_with_sizes(&mut client, &mut backend, BUFFER_LEN, BUFFER_LEN).await {
        Ok((up, down)) => tracing::debug!(up, down, "a tunnel ended"),
        Err(error) => {
            if Stalled::among(&error).is_some() {
                meter.forward_broke(Broken::Stalled);
            }
            tracing::debug!(error = %Chain(&error), "a tunnel broke");
        }
    }
}

/// Returns the connection behind a request, for the moment when it becomes something else. What else was noted about
/// the request goes with it.
pub fn take_upgrade(head: &mut Parts) -> OnUpgrade {
    let mut request = http::Request::new(());
    std::mem::swap(request.extensions_mut(), &mut head.extensions);
    hyper::upgrade::on(&mut request)
}

/// For each direction, as long as the tunnel lives.
const BUFFER_LEN: usize = 8 << 10;
