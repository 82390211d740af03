//! A connection to another process of this host, over its socket.

use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::Duration;

use super::greeting::{Greeting, Me};
use crate::duplex::{Carries, Duplex};
use crate::succession::{Wish, node_of};

/// Returns the path in the address of a process of this host.
pub(super) fn path_of(address: &str) -> Option<&str> {
    address.strip_prefix(SOCKET)
}

/// Returns the address of a process that listens at this path.
pub(super) fn address_of(path: &str) -> String {
    format!("{SOCKET}{path}")
}

/// Returns a connection to that process.
pub(super) async fn connected(path: &str, me: &Me) -> io::Result<(Duplex, Greeting)> {
    let node = node_of(path).ok_or(io::ErrorKind::ConnectionRefused)?;
    let mut stream = UnixStream::connect(path).await.map_err(|error| {
        // It has ended, and taken its socket with it.
        let has_ended = error.kind() == io::ErrorKind::NotFound;
        if has_ended { io::ErrorKind::ConnectionRefused.into() } else { error }
    })?;
    stream.write_all(Wish::Ask(me.node).line().as_bytes()).await?;
    let stream: Box<dyn Carries> = Box::new(stream);
    // It says nothing of itself, and is a process of the same service, perhaps of an older version.
    let (version, routes) = (String::new(), String::new());
    let greeting = Greeting { node, version, age: Duration::ZERO, routes, takes_read: false };
    Ok((stream.into(), greeting))
}

/// What such an address begins with; that of a node is a host and a port.
const SOCKET: &str = "unix:";
