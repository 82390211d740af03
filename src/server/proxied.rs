//! The PROXY protocol, versions 1 and 2: a header before everything else, in which a proxy in front says who its client is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::address::{RemoteAddress, TrustedProxy};
use crate::duplex::Socket;
use crate::throttle::Throttle;

/// The proxies that begin each connection with such a header.
#[derive(Clone, Debug)]
pub(super) struct Proxies {
    trusted: Arc<[TrustedProxy]>,
    refused: Arc<Throttle>,
}

impl Proxies {
    pub(super) fn new(trusted: &[TrustedProxy]) -> Self {
        Self { trusted: trusted.into(), refused: Arc::default() }
    }

    /// Reads the header, and nothing behind it. Returns the client's address; that of the proxy itself if it connects on
    /// its own account.
    ///
    /// # Errors
    /// There is no such header, or not in time, or not from such a proxy.
    pub(super) async fn client(&self, stream: &mut Socket, peer: RemoteAddress) -> io::Result<RemoteAddress> {
        if !peer.is_among(&self.trusted) {
            // Anybody could write a header. The operator has forgotten a proxy, or a client goes round it.
            if let Some(count) = self.refused.count() {
                tracing::warn!(%peer, count, "a connection was refused: it must begin with a PROXY header, and comes from none of trusted_proxies");
            }
            return Err(io::Error::other("a PROXY header is taken from trusted_proxies only"));
        }
        // Boxed, so that a connection does not keep the room.
        Ok(Box::pin(timeout(HEADER_TIMEOUT, read(stream))).await??.unwrap_or(peer))
    }
}

/// Reads a header. What follows stays in the socket, where TLS reads it.
pub(super) async fn read(stream: &mut Socket) -> io::Result<Option<RemoteAddress>> {
    let mut header = [0; HEADER_MAX];
    let mut len = SIGNATURE.len();
    // No header is shorter.
    stream.read_exact(&mut header[..len]).await?;
    if header.starts_with(SIGNATURE) {
        stream.read_exact(&mut header[len..V2_LEN]).await?;
        len = V2_LEN + usize::from(u16::from_be_bytes([header[V2_LEN - 2], header[V2_LEN - 1]]));
        let rest = header.get_mut(V2_LEN..len).ok_or_else(|| invalid("it is too long"))?;
        stream.read_exact(rest).await?;
    } else if header.starts_with(b"PROXY ") {
        while header[len - 1] != b'\n' {
            let room = &mut header[len..V1_MAX];
            if room.is_empty() {
                return Err(invalid("its line does not end"));
            }
            let there = stream.peek(room).await?;
            let line = room[..there].iter().position(|byte| *byte == b'\n');
            let taken = line.map_or(there, |index| index + 1);
            if taken == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            stream.read_exact(&mut room[..taken]).await?;
            len += taken;
        }
    } else {
        return Err(invalid("it begins otherwise"));
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (parsed, taken) =
        ProxyHeader::parse(&header[..len], config).map_err(|error| invalid(&error.to_string()))?;
    match parsed.proxied_address() {
        _ if taken != len => Err(invalid("it ends elsewhere")),
        Some(address) if address.protocol != Protocol::Stream => Err(invalid("it is not about TCP")),
        address => Ok(address.map(|address| address.source.into())),
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no PROXY header: {why}"))
}

/// Of version 2. Version 1 has no shorter header.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Up to the length of the rest.
const V2_LEN: usize = 16;
/// The specification's maximum.
const V1_MAX: usize = 107;
/// The specification has receivers take this much: addresses of the largest kind, and some more.
const HEADER_MAX: usize = 536;
/// A proxy sends it at once. The specification asks for at least 3 s, in which a lost packet comes again.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
