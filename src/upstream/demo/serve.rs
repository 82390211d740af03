//! The interface between an embedded server and its upstream.

use std::future::Future;
use std::pin::Pin;

use tokio::io::DuplexStream;

/// Speaks HTTP over one pipe until its end, or until it is upgraded.
pub(super) type Serve = Box<dyn Fn(DuplexStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;
